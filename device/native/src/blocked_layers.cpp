#include "blocked_layers.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

namespace groupnl {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kMostHalfTurns = 1048576.0;    // of the sine that needs no check, as in kernels.cpp
constexpr std::int64_t kBandFloats = 6144;      // seed maps of a band: with what else is read they fill the L1 cache
constexpr std::int64_t kLeastWork = 65536;      // output numbers worth sharing out
constexpr std::int64_t kTasks = 4;              // shared out among a multiple of it: 2 or 4 threads get equal parts
constexpr std::int64_t kMostInputs = 2;

// Interpolated at Chebyshev's nodes, sin(z + c) over |z| <= r is off by at most r^(n+1) / ((n+1)! 2^n) in degree n:
// 6.1e-7 and 1e-7 for these r. With what rounding adds in float32 the largest error found is 8e-7.
struct Fit {
  Wave wave;
  int degree;
  double reach;  // radians
};
constexpr Fit kFits[] = {{Wave::degree9, 9, 2.02}, {Wave::degree11, 11, 2.6}};

std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Coefficients of y^0 .. y^degree that make scale sin(period (y - shift)) + offset for |y| <= reach, by interpolation
// at Chebyshev's nodes.
std::vector<double> interpolate(const Sine& wave, double scale, double offset, double reach, int degree) {
  const int count = degree + 1;
  std::vector<double> values(size(count));
  for (int k = 0; k < count; ++k) {
    const double y = reach * std::cos(kPi * (k + 0.5) / count);
    values[size(k)] = scale * std::sin(wave.period * (y - wave.shift)) + offset;
  }
  std::vector<double> sum(size(count), 0.0);
  std::vector<double> before(size(count), 0.0);  // Chebyshev's polynomial of degree j - 1 in t = y / reach, and of j
  std::vector<double> now(size(count), 0.0);
  now[0] = 1.0;
  for (int j = 0; j < count; ++j) {
    double part = 0.0;
    for (int k = 0; k < count; ++k) part += values[size(k)] * std::cos(kPi * j * (k + 0.5) / count);
    part *= (j == 0 ? 1.0 : 2.0) / count;
    for (int i = 0; i <= j; ++i) sum[size(i)] += part * now[size(i)];
    std::vector<double> next(size(count), 0.0);
    for (int i = 0; i + 1 < count; ++i) next[size(i) + 1] = (j == 0 ? 1.0 : 2.0) * now[size(i)];
    if (j > 0) {
      for (int i = 0; i < count; ++i) next[size(i)] -= before[size(i)];
    }
    before = now;
    now = next;
  }
  double power = 1.0;
  for (int i = 0; i < count; ++i, power *= reach) sum[size(i)] /= power;
  return sum;
}

class Scratch {  // aligned to cache lines
 public:
  explicit Scratch(std::int64_t count)
      : floats_(static_cast<float*>(::operator new(sizeof(float) * size(count), std::align_val_t{64}))) {}

  float* get() const { return floats_.get(); }

 private:
  struct Free {
    void operator()(float* floats) const { ::operator delete(floats, std::align_val_t{64}); }
  };
  std::unique_ptr<float, Free> floats_;
};

// The arrays of one band, see BlockedTail::run.
struct Band {
  float* y;
  float* squares;
  float* inverse;
  float* spare;
};

// Calls work(band, n, begin, end) for bands of lines, all pictures, in parallel.
template <class Work>
void in_bands(Pool& pool, const BlockedTail& tail, std::int64_t batch, std::int64_t lines, std::int64_t line_pixels,
              const Work& work) {
  if (batch == 0 || lines == 0 || line_pixels == 0) return;
  const std::int64_t band = std::clamp<std::int64_t>(kBandFloats / (line_pixels * tail.pitch()), 1, lines);
  const std::int64_t bands = divide_up(lines, band);
  const std::int64_t numbers = batch * lines * line_pixels * tail.out_blocks() * tail.block();
  const std::int64_t tasks = numbers < kLeastWork ? 1 : kTasks * divide_up(numbers, kTasks * kLeastWork);
  const std::int64_t share = divide_up(batch * bands, tasks);
  pool.each(size(divide_up(batch * bands, share)), [&](std::size_t index) {
    const std::int64_t pixels = band * line_pixels;
    const std::int64_t floats = pixels * tail.block();
    const std::int64_t margin = tail.block();  // before and behind y
    const Scratch scratch(pixels * (tail.pitch() + 1) + 2 * floats + 2 * margin);
    std::fill_n(scratch.get(), margin, 0.0F);
    Band work_on{};
    work_on.y = scratch.get() + margin;
    work_on.squares = work_on.y + pixels * tail.pitch() + margin;
    std::fill_n(work_on.squares - margin, margin, 0.0F);
    work_on.spare = work_on.squares + floats;
    work_on.inverse = work_on.spare + floats;
    const std::int64_t first = static_cast<std::int64_t>(index) * share;
    for (std::int64_t i = first; i < std::min(first + share, batch * bands); ++i) {
      const std::int64_t begin = i % bands * band;
      std::fill_n(work_on.squares, floats, 0.0F);
      work(work_on, i / bands, begin, std::min(begin + band, lines));
    }
  });
}

}  // namespace

BlockedTail::BlockedTail(const TailPlan& plan, std::int64_t block)
    : plan_(plan), block_(block), source_of_(size(plan.out_channels())), sine_of_(size(plan.out_channels()), nullptr) {
  blocked_kernels(block);  // refuses other sizes
  const Tail& tail = plan.tail();
  for (std::int64_t s = 0; s < tail.seed_channels; ++s) {
    source_of_[size(s)] = s;
    for (std::int64_t g = tail.first[s]; g < tail.first[s + 1]; ++g) {
      source_of_[size(tail.sines[g].into)] = s;
      sine_of_[size(tail.sines[g].into)] = &tail.sines[g];
    }
  }
  for (std::int64_t index = 0; index < out_blocks(); ++index) add_block(index);
  in_pairs_ = in_pairs();
}

void BlockedTail::add_block(std::int64_t index) {
  const Tail& tail = plan_.tail();
  const std::int64_t first = index * block_;
  const std::int64_t lanes = std::min(block_, plan_.out_channels() - first);
  LaneBlock made{};
  sources_.emplace_back(size(block_), -1);
  std::copy_n(source_of_.begin() + first, lanes, sources_.back().begin());
  made.sources = sources_.back().data();
  made.lanes = lanes;
  made.turn = block_;
  made.from = made.then = made.sources[0];
  for (std::int64_t lane = 1; lane < lanes && made.turn >= 0; ++lane) {
    const bool goes_on = made.sources[lane] == made.sources[lane - 1] + 1;
    if (!goes_on && made.turn == block_) {
      made.turn = lane;
      made.then = made.sources[lane] - lane;
    } else if (!goes_on) {
      made.turn = -1;
    }
  }
  std::vector<const Sine*> sines(size(block_), nullptr);
  std::copy_n(sine_of_.begin() + first, lanes, sines.begin());
  double reach = 0.0;  // radians
  bool generated = false;
  bool exact = false;
  for (const Sine* sine : sines) {
    if (sine == nullptr) continue;
    generated = true;
    exact = exact || sine->exact;
    reach = std::max(reach, std::fabs(sine->period) * static_cast<double>(tail.gain));
  }
  made.wave = Wave::half_turns;
  made.checked = !tail.normalize || exact || !(reach / kPi < kMostHalfTurns);
  if (!generated) {
    made.wave = Wave::affine;
    add_polynomials(made, sines, first, 1);
  }
  for (const Fit& fit : kFits) {
    if (made.wave != Wave::half_turns || !tail.normalize || exact || !(reach <= fit.reach)) continue;
    made.wave = fit.wave;
    add_polynomials(made, sines, first, fit.degree);
    const auto finite = [](float value) { return std::isfinite(value); };
    if (!std::all_of(constants_.back().begin(), constants_.back().end(), finite)) {  // huge scales, or no numbers
      made.wave = Wave::half_turns;
      constants_.pop_back();
      break;
    }
  }
  if (made.wave == Wave::half_turns) add_half_turns(made, sines, first);
  made.constants = constants_.back().data();
  blocks_.push_back(made);
}

void BlockedTail::add_polynomials(LaneBlock& made, const std::vector<const Sine*>& sines, std::int64_t first,
                                  int degree) {
  const Tail& tail = plan_.tail();
  std::vector<float> rows(size((degree + 1) * block_), 0.0F);
  for (std::int64_t lane = 0; lane < block_ && made.sources[lane] >= 0; ++lane) {
    const double scale = tail.scale[first + lane];
    const double offset = tail.offset[first + lane];
    std::vector<double> coefficients(size(degree) + 1, 0.0);
    if (sines[size(lane)] == nullptr) {
      coefficients[0] = offset;
      coefficients[1] = scale;
    } else {
      coefficients = interpolate(*sines[size(lane)], scale, offset, static_cast<double>(tail.gain), degree);
    }
    for (int i = 0; i <= degree; ++i) {
      rows[size((degree - i) * block_ + lane)] = static_cast<float>(coefficients[size(i)]);
    }
  }
  constants_.push_back(std::move(rows));
}

void BlockedTail::add_half_turns(LaneBlock& made, const std::vector<const Sine*>& sines, std::int64_t first) {
  const Tail& tail = plan_.tail();
  std::vector<float> rows(size(6 * block_), 0.0F);
  sines_.emplace_back(size(block_), Sine{});
  for (std::int64_t lane = 0; lane < block_ && made.sources[lane] >= 0; ++lane) {
    if (const Sine* sine = sines[size(lane)]) {
      sines_.back()[size(lane)] = *sine;
      rows[size(lane)] = sine->rate;
      rows[size(block_ + lane)] = sine->rate_rest;
      rows[size(2 * block_ + lane)] = sine->phase;
      rows[size(5 * block_ + lane)] = 1.0F;
    }
    rows[size(3 * block_ + lane)] = tail.scale[first + lane];
    rows[size(4 * block_ + lane)] = tail.offset[first + lane];
  }
  made.sines = sines_.back().data();
  constants_.push_back(std::move(rows));
}

// Full blocks, of which each generated one reads the lanes of a block of seed maps: as in most nets with r = 2.
bool BlockedTail::in_pairs() const {
  const std::int64_t half = seed_blocks();
  if (!plan_.tail().normalize || half * 2 != out_blocks()) return false;
  for (std::int64_t index = 0; index < half; ++index) {
    const LaneBlock& seeds = blocks_[size(index)];
    const LaneBlock& block = blocks_[size(index + half)];
    if (seeds.wave != Wave::affine || seeds.turn != block_ || seeds.from != index * block_) return false;
    if (block.turn != block_ || block.from != seeds.from || block.lanes != block_) return false;
    if (block.wave != Wave::degree9 && block.wave != Wave::degree11) return false;
  }
  return true;
}

void BlockedTail::run(const float* y, const float* squares, float* inverse, float* spare, float* out,
                      std::int64_t out_pitch, std::int64_t pixels) const {
  const BlockedKernels& with = blocked_kernels(block_);
  const Tail& tail = plan_.tail();
  if (tail.normalize) {
    with.inverse_norms(squares, tail.gain, y, pitch(), tail.seed_channels, inverse, pixels);
  } else {
    std::fill_n(inverse, pixels, 1.0F);
  }
  if (in_pairs_) {
    const std::int64_t half = seed_blocks();
    for (std::int64_t k = 0; k < half; ++k) {
      with.expand_pair(blocks_[size(k)], blocks_[size(k + half)], tail.activation, y, pitch(), inverse,
                       out + k * out_pitch, out + (k + half) * out_pitch, pixels);
    }
    return;
  }
  for (const LaneBlock& block : blocks_) {
    with.expand(block, tail.activation, y, pitch(), inverse, spare, out, pixels);
    out += out_pitch;
  }
}

BlockedConvolution::BlockedConvolution(const SparseConvolution& convolution, std::int64_t block)
    : block_(block),
      maps_(convolution.maps),
      inputs_(convolution.inputs),
      taps_(convolution.rows.kernel * convolution.columns.kernel) {
  if (inputs_ < 1 || inputs_ > kMostInputs) {
    throw std::invalid_argument(std::to_string(inputs_) +
                                " inputs to each seed map: in blocks of channels expected 1 or 2");
  }
  weight_.assign(size(in_blocks() * taps_ * block_), 0.0F);
  for (std::int64_t channel = 0; channel < maps_ * inputs_; ++channel) {
    const float* from = convolution.weight + channel * taps_;
    float* to = weight_.data() + channel / block_ * taps_ * block_ + channel % block_;
    for (std::int64_t tap = 0; tap < taps_; ++tap) to[tap * block_] = from[tap];
  }
  bias_.assign(size(divide_up(maps_, block_) * block_), 0.0F);
  if (convolution.bias != nullptr) std::copy_n(convolution.bias, maps_, bias_.begin());
}

void BlockedConvolution::run(const Window& rows, const Window& columns, const float* x, std::int64_t index,
                             std::int64_t begin, std::int64_t end, float* y, std::int64_t pitch,
                             float* squares) const {
  BlockedWindow window{};
  for (std::int64_t input = 0; input < inputs_; ++input) {
    const std::int64_t block = index * inputs_ + input;
    if (block >= in_blocks()) break;
    window.weight[input] = weight_.data() + block * taps_ * block_;
    window.x[input] = x + block * rows.in * columns.in * block_;
  }
  window.bias = bias_.data() + index * block_;
  window.pairs = inputs_ == 2;
  window.rows = {rows.in, rows.kernel, rows.stride, rows.dilation, rows.pad_before};
  window.columns = {columns.in, columns.kernel, columns.stride, columns.dilation, columns.pad_before};
  window.width = columns.out();
  blocked_kernels(block_).convolve(window, begin, end, y, pitch, squares);
}

void blocked_expand(Pool& pool, const BlockedTail& tail, std::int64_t batch, std::int64_t pixels,
                    const float* seed_maps, float* out) {
  const std::int64_t block = tail.block();
  const auto work = [&](const Band& band, std::int64_t n, std::int64_t begin, std::int64_t end) {
    for (std::int64_t index = 0; index < tail.seed_blocks(); ++index) {
      const float* from = seed_maps + ((n * tail.seed_blocks() + index) * pixels + begin) * block;
      blocked_kernels(block).copy(from, tail.seed_channels() - index * block, band.y + index * block, tail.pitch(),
                                  band.squares, end - begin);
    }
    float* to = out + (n * tail.out_blocks() * pixels + begin) * block;
    tail.run(band.y, band.squares, band.inverse, band.spare, to, pixels * block, end - begin);
  };
  in_bands(pool, tail, batch, pixels, 1, work);
}

void blocked_sparse_expand(Pool& pool, const BlockedConvolution& convolution, const Window& rows,
                           const Window& columns, const BlockedTail& tail, std::int64_t batch, const float* x,
                           float* out) {
  const std::int64_t block = tail.block();
  const std::int64_t width = columns.out();
  const std::int64_t pixels = rows.out() * width;
  const auto work = [&](const Band& band, std::int64_t n, std::int64_t begin, std::int64_t end) {
    const float* picture = x + n * convolution.in_blocks() * rows.in * columns.in * block;
    for (std::int64_t index = 0; index < tail.seed_blocks(); ++index) {
      convolution.run(rows, columns, picture, index, begin, end, band.y + index * block, tail.pitch(), band.squares);
    }
    float* to = out + (n * tail.out_blocks() * pixels + begin * width) * block;
    tail.run(band.y, band.squares, band.inverse, band.spare, to, pixels * block, (end - begin) * width);
  };
  in_bands(pool, tail, batch, rows.out(), width, work);
}

void blocked_gate(Pool& pool, std::int64_t block, std::int64_t maps, std::int64_t pixels, const float* x,
                  const float* gate, float* out) {
  const std::int64_t share = std::max<std::int64_t>(1, kLeastWork / std::max<std::int64_t>(pixels * block, 1));
  pool.each(size(divide_up(maps, share)), [&](std::size_t index) {
    const std::int64_t first = static_cast<std::int64_t>(index) * share;
    for (std::int64_t map = first; map < std::min(first + share, maps); ++map) {
      const std::int64_t start = map * pixels * block;
      blocked_kernels(block).gate(x + start, gate + map * block, out + start, pixels);
    }
  });
}

}  // namespace groupnl
