#include "quantized_layers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

namespace groupnl {
namespace {

constexpr std::int64_t kTasks = 4;           // shared out among a multiple of it: 2 or 4 threads get equal parts
constexpr std::int64_t kLeastBytes = 16384;  // of the output worth sharing out
constexpr std::int64_t kBandBytes = 131072;  // of the input, copied with its padding: it stays in the L2 cache
constexpr std::int64_t kLookedUp = 64;       // channels whose tables are used together: 16 KiB, in the L1 cache
constexpr std::int64_t kMostTerms = 65536;   // of a sum: 255 * 128 * 65536 is below 2^31

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

// Memory of this thread that lasts: asking the system for it in every run would cost more than some layers.
template <class Element>
std::vector<Element>& kept_scratch() {
  thread_local std::vector<Element> scratch;
  return scratch;
}

float* scratch_for(const QuantizedTail& tail) {
  auto& scratch = kept_scratch<float>();
  scratch.assign(size(kPixelsTogether * tail.pitch), 0.0F);
  return scratch.data();
}

SeedRange dense_range(std::int64_t seed_channels, Quantized in) {
  expect_scales("x_scale", &in.scale, 1);
  const auto maps = size(seed_channels);
  const double scale = in.scale;
  return {std::vector<double>(maps, scale), std::vector<double>(maps, 0.0), std::vector<double>(maps, 255.0),
          1.0 / scale};
}

std::int64_t taps_of(const QuantizedWeights& weights) {
  return weights.inputs * weights.kernel_height * weights.kernel_width;
}

SeedRange sparse_range(const QuantizedWeights& weights, Quantized in) {
  expect_scales("x_scale", &in.scale, 1);
  expect_scales("weight_scale", weights.scales, weights.maps);
  if (weights.bias != nullptr) expect_finite("bias", weights.bias, weights.maps);
  const std::int64_t taps = taps_of(weights);
  if (taps < 1 || taps > kMostTerms) {
    throw std::invalid_argument("weight has " + std::to_string(taps) + " values for each map: expected 1 to " +
                                std::to_string(kMostTerms) + ", whose sum fits 32 bits");
  }
  SeedRange range;
  for (std::int64_t s = 0; s < weights.maps; ++s) {
    double sum = 0.0;
    for (std::int64_t t = 0; t < taps; ++t) sum += std::abs(static_cast<int>(weights.values[s * taps + t]));
    range.factor.push_back(static_cast<double>(in.scale) * static_cast<double>(weights.scales[s]));
    range.bias.push_back(weights.bias == nullptr ? 0.0 : static_cast<double>(weights.bias[s]));
    range.largest.push_back(255.0 * sum);
  }
  return range;
}

}  // namespace

QuantizedExpand::QuantizedExpand(const QuantizedConstants& constants, Quantized in)
    : in_(in), plan_(constants, dense_range(constants.seed_channels, in)) {
  if (!plan_.pointwise()) return;
  const double most = constants.normalize == QuantizedNormalize::clamp ? 1.0 : HUGE_VAL;
  for (std::int64_t c = 0; c < plan_.out_channels(); ++c) {
    for (int value = 0; value < 256; ++value) {
      const double y = static_cast<double>(in.scale) * (value - in.zero_point);
      tables_.push_back(plan_.exact_value(c, std::clamp(y, -most, most)));
    }
  }
  const auto add = [&](const Run& run) {
    for (std::int64_t done = 0; done < run.count; done += kLookedUp) {
      runs_.push_back({run.from + done, run.into + done, std::min(kLookedUp, run.count - done), 0});
    }
  };
  add({0, 0, plan_.seed_channels(), 0});
  for (std::int64_t r = 0; r < plan_.tail().run_count; ++r) add(plan_.tail().runs[r]);
}

void QuantizedExpand::look_up(const std::uint8_t* in, std::uint8_t* out, std::int64_t pixels) const {
  const std::int64_t seeds = plan_.seed_channels();
  const std::int64_t channels = plan_.out_channels();
  for (const Run& run : runs_) {
    const std::uint8_t* tables = tables_.data() + run.into * 256;
    for (std::int64_t p = 0; p < pixels; ++p) {
      const std::uint8_t* from = in + p * seeds + run.from;
      std::uint8_t* __restrict to = out + p * channels + run.into;
#pragma GCC unroll 8
      for (std::int64_t c = 0; c < run.count; ++c) to[c] = tables[c * 256 + from[c]];
    }
  }
}

void QuantizedExpand::run(Pool& pool, std::int64_t pixels, const std::uint8_t* seed_maps, std::uint8_t* out) const {
  const std::int64_t seeds = plan_.seed_channels();
  const std::int64_t channels = plan_.out_channels();
  if (pixels * channels == 0) return;
  const std::int64_t tasks = kTasks * divide_up(pixels * channels, kTasks * kLeastBytes);
  const std::int64_t share = std::max(divide_up(pixels, tasks), divide_up(kLeastBytes / kTasks, channels));
  const auto work = [&](std::size_t index) {
    const std::int64_t start = static_cast<std::int64_t>(index) * share;
    const std::int64_t count = std::min(share, pixels - start);
    const std::uint8_t* from = seed_maps + start * seeds;
    std::uint8_t* to = out + start * channels;
    if (!tables_.empty()) return look_up(from, to, count);
    if (plan_.fast()) {
      float* y = scratch_for(plan_.tail());
      return quantized_kernels().expand(plan_.tail(), from, in_.zero_point, to, count, y);
    }
    std::vector<double> y(size(seeds));
    for (std::int64_t p = 0; p < count; ++p) {
      for (std::int64_t s = 0; s < seeds; ++s) {
        y[size(s)] = static_cast<double>(in_.scale) * (from[p * seeds + s] - in_.zero_point);
      }
      plan_.exact(y.data(), to + p * channels);
    }
  };
  pool.each(size(divide_up(pixels, share)), work);
}

QuantizedSparseExpand::QuantizedSparseExpand(const QuantizedConstants& constants, const QuantizedWeights& weights,
                                             Quantized in)
    : in_(in),
      maps_(weights.maps),
      inputs_(weights.inputs),
      width_(std::max(weights.maps, kPadding)),
      groups_(divide_up(weights.inputs, 2)),
      values_(weights.values, weights.values + weights.maps * taps_of(weights)),
      range_(sparse_range(weights, in)),
      plan_(constants, range_) {
  const std::int64_t window = weights.kernel_height * weights.kernel_width;
  weight_.assign(size(groups_ * window * width_ * 2), 0);
  quads_.assign(size((groups_ * window + 1) / 2 * width_ * 4), 0);
  base_.assign(size(width_), 0);
  factor_.assign(size(width_), 0.0F);
  bias_.assign(size(width_), 0.0F);
  for (std::int64_t s = 0; s < maps_; ++s) {
    for (std::int64_t input = 0; input < inputs_; ++input) {
      for (std::int64_t w = 0; w < window; ++w) {
        const std::int8_t value = values_[size((s * inputs_ + input) * window + w)];
        const std::int64_t term = input / 2 * window + w;
        weight_[size((term * width_ + s) * 2 + input % 2)] = value;
        quads_[size((term / 2 * width_ + s) * 4 + term % 2 * 2 + input % 2)] = value;
        base_[size(s)] -= in.zero_point * value;
      }
    }
    if (plan_.fast()) {
      factor_[size(s)] = static_cast<float>(range_.factor[size(s)] * plan_.unit());
      bias_[size(s)] = static_cast<float>(range_.bias[size(s)] * plan_.unit());
    }
  }
  sums_.seeds = width_;
  sums_.terms = groups_ * window;
  sums_.weight = weight_.data();
  sums_.quads = quads_.data();
  sums_.base = base_.data();
  sums_.factor = factor_.data();
  sums_.bias = bias_.data();
}

// The input rows that some output rows read, with their padding, each pixel's channels as groups of pairs: pair s of a
// group belongs to map s.
class QuantizedSparseExpand::Band {
 public:
  Band(const QuantizedSparseExpand& layer, const Window& rows, const Window& columns)
      : layer_(layer),
        rows_(rows),
        columns_(columns),
        pixel_(layer.groups_ * layer.width_ * 2),
        row_((columns.pad_before + columns.in + columns.pad_after) * pixel_) {
    for (std::int64_t group = 0; group < layer.groups_; ++group) {
      for (std::int64_t i = 0; i < rows.kernel; ++i) {
        for (std::int64_t j = 0; j < columns.kernel; ++j) {
          taps_.push_back(i * rows.dilation * row_ + j * columns.dilation * pixel_ + group * layer.width_ * 2);
        }
      }
    }
  }

  std::int64_t row_bytes() const { return row_; }

  void run(const std::uint8_t* picture, std::int64_t begin, std::int64_t end, std::uint8_t* out) const {
    const std::int64_t height = (end - begin - 1) * rows_.stride + (rows_.kernel - 1) * rows_.dilation + 1;
    auto& copied = kept_scratch<std::uint8_t>();
    if (copied.size() < size(height * row_)) copied.resize(size(height * row_));
    for (std::int64_t i = 0; i < height; ++i) copy_row(picture, begin * rows_.stride + i, copied.data() + i * row_);
    std::vector<const std::uint8_t*> starts(taps_.size());
    std::vector<const std::uint8_t*> moved(taps_.size() + 1);
    float* y = scratch_for(layer_.plan_.tail());
    const std::int64_t pixels = columns_.out();
    for (std::int64_t row = begin; row < end; ++row) {
      const std::uint8_t* from = copied.data() + (row - begin) * rows_.stride * row_;
      for (std::size_t t = 0; t < taps_.size(); ++t) starts[t] = from + taps_[t];
      quantized_kernels().sparse_expand(layer_.plan_.tail(), layer_.sums_, starts.data(), columns_.stride * pixel_,
                                        out + row * pixels * layer_.plan_.out_channels(), pixels, y, moved.data());
    }
  }

 private:
  void copy_row(const std::uint8_t* picture, std::int64_t padded_row, std::uint8_t* to) const {
    const std::int64_t row = padded_row - rows_.pad_before;
    const int padding = layer_.in_.zero_point;
    if (row < 0 || row >= rows_.in) {
      std::memset(to, padding, size(row_));
      return;
    }
    const std::int64_t channels = layer_.maps_ * layer_.inputs_;
    const std::uint8_t* from = picture + row * columns_.in * channels;
    std::memset(to, padding, size(columns_.pad_before * pixel_));
    to += columns_.pad_before * pixel_;
    if (layer_.inputs_ == 2 && channels == pixel_) {
      std::memcpy(to, from, size(columns_.in * pixel_));
    } else {
      for (std::int64_t j = 0; j < columns_.in; ++j) copy_pixel(from + j * channels, to + j * pixel_);
    }
    std::memset(to + columns_.in * pixel_, padding, size(columns_.pad_after * pixel_));
  }

  void copy_pixel(const std::uint8_t* from, std::uint8_t* to) const {
    const std::int64_t inputs = layer_.inputs_;
    if (inputs == 2) {
      std::memcpy(to, from, size(2 * layer_.maps_));
      return;
    }
    for (std::int64_t group = 0; group < layer_.groups_; ++group, to += layer_.width_ * 2) {
      const bool whole = 2 * group + 1 < inputs;
      for (std::int64_t s = 0; s < layer_.maps_; ++s) {
        to[2 * s] = from[s * inputs + 2 * group];
        to[2 * s + 1] = whole ? from[s * inputs + 2 * group + 1] : 0;
      }
    }
  }

  const QuantizedSparseExpand& layer_;
  const Window& rows_;
  const Window& columns_;
  std::int64_t pixel_;  // bytes
  std::int64_t row_;
  std::vector<std::int64_t> taps_;
};

void QuantizedSparseExpand::run(Pool& pool, std::int64_t batch, const Window& rows, const Window& columns,
                                const std::uint8_t* x, std::uint8_t* out) const {
  const std::int64_t height = rows.out();
  const std::int64_t picture_out = height * columns.out() * plan_.out_channels();
  if (batch * picture_out == 0) return;
  const std::int64_t picture_in = rows.in * columns.in * maps_ * inputs_;
  const Band band(*this, rows, columns);
  const std::int64_t cached = kBandBytes / (band.row_bytes() * rows.stride);
  const std::int64_t shared = batch * picture_out < kLeastBytes ? height : divide_up(height, kTasks);
  const std::int64_t share = std::clamp<std::int64_t>(cached, 1, shared);
  const std::int64_t shares = divide_up(height, share);
  const auto work = [&](std::size_t index) {
    const std::int64_t n = static_cast<std::int64_t>(index) / shares;
    const std::int64_t begin = static_cast<std::int64_t>(index) % shares * share;
    const std::int64_t end = std::min(begin + share, height);
    if (plan_.fast()) return band.run(x + n * picture_in, begin, end, out + n * picture_out);
    for (std::int64_t row = begin; row < end; ++row) {
      exact_row(rows, columns, x + n * picture_in, row, out + n * picture_out + row * (picture_out / height));
    }
  };
  pool.each(size(batch * shares), work);
}

void QuantizedSparseExpand::exact_row(const Window& rows, const Window& columns, const std::uint8_t* picture,
                                      std::int64_t row, std::uint8_t* out) const {
  std::vector<double> y(size(maps_));
  for (std::int64_t column = 0; column < columns.out(); ++column, out += plan_.out_channels()) {
    for (std::int64_t s = 0; s < maps_; ++s) {
      const std::int8_t* weight = values_.data() + s * inputs_ * rows.kernel * columns.kernel;
      std::int64_t sum = 0;
      for (std::int64_t t = 0; t < inputs_ * rows.kernel * columns.kernel; ++t) {
        const std::int64_t input = t / (rows.kernel * columns.kernel);
        const std::int64_t i = row * rows.stride + t / columns.kernel % rows.kernel * rows.dilation - rows.pad_before;
        const std::int64_t j = column * columns.stride + t % columns.kernel * columns.dilation - columns.pad_before;
        if (i < 0 || i >= rows.in || j < 0 || j >= columns.in) continue;
        const std::uint8_t value = picture[((i * columns.in + j) * maps_ + s) * inputs_ + input];
        sum += static_cast<std::int64_t>(weight[t]) * (value - in_.zero_point);
      }
      y[size(s)] = range_.factor[size(s)] * static_cast<double>(sum) + range_.bias[size(s)];
    }
    plan_.exact(y.data(), out);
  }
}

}  // namespace groupnl
