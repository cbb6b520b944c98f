#include "sparse_convolution.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.h"

namespace groupnl {
namespace {

constexpr std::int64_t kLeastWork = 262144;  // multiply-adds worth sharing out
constexpr std::int64_t kTasks = 4;            // shared out among a multiple of it: 2 or 4 threads get equal parts
constexpr std::int64_t kStep = 16;            // sums are made in multiples of it: no loop has a slow end
constexpr std::int64_t kTogether = 1024;      // sums that are made at once: they stay in the L1 cache

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

// memcpy of a row, which in deep layers is so short that the call would cost more than the copy: whole steps, and a
// last one that ends where the row ends, over part of the one before.
template <std::int64_t step>
void copy_in_steps(const float* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i + step <= count; i += step) std::memcpy(to + i, from + i, sizeof(float) * step);
  std::memcpy(to + count - step, from + count - step, sizeof(float) * step);
}

void copy_row(const float* from, float* to, std::int64_t count) {
  if (count >= 8) return copy_in_steps<8>(from, to, count);
  if (count >= 4) return copy_in_steps<4>(from, to, count);
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
}

// Copies every second number, in two: a loop that the compiler turns into shuffles.
void split_in_two(const float* from, float* even, float* odd, std::int64_t pairs) {
  for (std::int64_t i = 0; i < pairs; ++i) {
    even[i] = from[2 * i];
    odd[i] = from[2 * i + 1];
  }
}

// A piece of a padded map, sorted by the remainders of its coordinates (by phase), so that what one weight meets in
// neighbouring output pixels lies side by side whatever the stride. Rows of all phases are equally long, so a whole
// band of output rows is one run of sums; those between the rows' ends belong to no pixel and are dropped.
class Phases {
 public:
  Phases(const Window& rows, const Window& columns, std::int64_t out_rows)
      : rows_(rows),
        columns_(columns),
        pitch_(divide_up(columns.pad_before + columns.in + columns.pad_after, columns.stride)),
        height_(divide_up((out_rows - 1) * rows.stride + (rows.kernel - 1) * rows.dilation + 1, rows.stride)) {
    for (std::int64_t row = 0; row < height_ * rows.stride; ++row) row_starts_.push_back(at(row, 0));
    for (std::int64_t lane = 0; lane < columns.stride; ++lane) lane_starts_.push_back(at(0, columns.pad_before + lane));
  }

  std::int64_t pitch() const { return pitch_; }  // of a row of a phase
  std::int64_t floats() const { return rows_.stride * columns_.stride * height_ * pitch_; }

  std::int64_t at(std::int64_t row, std::int64_t column) const {  // of the padded piece
    const std::int64_t phase = row % rows_.stride * columns_.stride + column % columns_.stride;
    return (phase * height_ + row / rows_.stride) * pitch_ + column / columns_.stride;
  }

  // Copies what lies inside the input; the rest was set to zero before and stays so.
  void fill(float* start, const float* x, std::int64_t first_row) const {
    if (columns_.in == 0) return;
    const std::int64_t last = std::min(height_ * rows_.stride, rows_.pad_before + rows_.in - first_row);
    for (std::int64_t row = std::max<std::int64_t>(0, rows_.pad_before - first_row); row < last; ++row) {
      const float* from = x + (first_row + row - rows_.pad_before) * columns_.in;
      float* to = start + row_starts_[size(row)];
      if (columns_.stride == 1) {
        copy_row(from, to + lane_starts_[0], columns_.in);
      } else if (columns_.stride == 2) {
        const std::int64_t pairs = columns_.in / 2;
        split_in_two(from, to + lane_starts_[0], to + lane_starts_[1], pairs);
        if (columns_.in % 2 == 1) to[lane_starts_[0] + pairs] = from[2 * pairs];
      } else {
        for (std::int64_t i = 0; i < columns_.in; ++i) {
          to[lane_starts_[size(i % columns_.stride)] + i / columns_.stride] = from[i];
        }
      }
    }
  }

 private:
  const Window& rows_;
  const Window& columns_;
  std::int64_t pitch_;
  std::int64_t height_;  // rows of a phase
  std::vector<std::int64_t> row_starts_;
  std::vector<std::int64_t> lane_starts_;  // of the first columns inside the input, one for each phase
};

}  // namespace

std::int64_t Window::out() const {
  if (kernel < 1 || stride < 1 || dilation < 1 || pad_before < 0 || pad_after < 0) {
    throw std::invalid_argument("a kernel of " + std::to_string(kernel) + ", stride " + std::to_string(stride) +
                                ", dilation " + std::to_string(dilation) + ", padding " + std::to_string(pad_before) +
                                " and " + std::to_string(pad_after) +
                                ": expected at least 1, and padding of at least 0");
  }
  const std::int64_t room = pad_before + in + pad_after - (kernel - 1) * dilation - 1;
  if (room < 0) {
    throw std::invalid_argument("the kernel spans " + std::to_string((kernel - 1) * dilation + 1) +
                                " pixels, the padded input has " + std::to_string(pad_before + in + pad_after));
  }
  return room / stride + 1;
}

void SparseConvolution::run(Pool& pool, const float* x, float* y, std::int64_t plane, std::int64_t begin,
                            std::int64_t end) const {
  if (maps == 0 || begin >= end) return;
  const std::int64_t width = columns.out();
  const std::int64_t terms = inputs * rows.kernel * columns.kernel;
  const Phases phases(rows, columns, end - begin);
  std::vector<std::int64_t> taps;
  for (std::int64_t input = 0; input < inputs; ++input) {
    for (std::int64_t row = 0; row < rows.kernel; ++row) {
      for (std::int64_t column = 0; column < columns.kernel; ++column) {
        taps.push_back(input * phases.floats() + phases.at(row * rows.dilation, column * columns.dilation));
      }
    }
  }
  // Whole steps only: what the last one reads and writes beyond the end lies in the slack and is dropped.
  const std::int64_t count = divide_up((end - begin - 1) * phases.pitch() + width, kStep) * kStep;
  const std::int64_t all_work = maps * count * terms;
  const std::int64_t tasks = all_work < kLeastWork ? 1 : kTasks * divide_up(all_work, kTasks * kLeastWork);
  const std::int64_t share = divide_up(maps, tasks);
  const auto work = [&](std::size_t index) {
    std::vector<float> pieces(size(inputs * phases.floats() + kStep), 0.0F);
    std::vector<float> sums(size(count));
    std::vector<const float*> rows_of_taps(taps.size());
    const std::int64_t first = static_cast<std::int64_t>(index) * share;
    for (std::int64_t map = first; map < std::min(first + share, maps); ++map) {
      for (std::int64_t input = 0; input < inputs; ++input) {
        const float* from = x + (map * inputs + input) * rows.in * columns.in;
        phases.fill(pieces.data() + input * phases.floats(), from, begin * rows.stride);
      }
      for (std::int64_t start = 0; start < count; start += kTogether) {
        for (std::size_t t = 0; t < taps.size(); ++t) rows_of_taps[t] = pieces.data() + taps[t] + start;
        kernels().weighted_sum(rows_of_taps.data(), weight + map * terms, terms, bias == nullptr ? 0.0F : bias[map],
                               sums.data() + start, std::min(kTogether, count - start));
      }
      float* to = y + map * plane;
      for (std::int64_t row = begin; row < end; ++row) {
        copy_row(sums.data() + (row - begin) * phases.pitch(), to + row * width, width);
      }
    }
  };
  pool.each(size(divide_up(maps, share)), work);
}

}  // namespace groupnl
