// Compiled several times, as kernels.cpp and under the same rule: nothing here has a name outside this file but the
// tables. A block of channels is one vector of the compiler's own kind: it knows how to cut it up for narrower
// registers.
#include "blocked_kernels.h"

#include "elementwise.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define GROUPNL_JOIN_(a, b) a##b
#define GROUPNL_JOIN(a, b) GROUPNL_JOIN_(a, b)

namespace groupnl {
namespace {

template <int b>
struct Lanes;
template <>
struct Lanes<8> {
  typedef float Vector __attribute__((vector_size(32)));
  typedef std::int32_t Mask __attribute__((vector_size(32)));
};
template <>
struct Lanes<16> {
  typedef float Vector __attribute__((vector_size(64)));
  typedef std::int32_t Mask __attribute__((vector_size(64)));
};
template <int b>
using Vector = typename Lanes<b>::Vector;

template <int b>
inline __attribute__((always_inline)) Vector<b> load(const float* from) {
  Vector<b> value;
  memcpy(&value, from, sizeof value);
  return value;
}

template <int b>
inline __attribute__((always_inline)) void store(float* to, const Vector<b>& value) {
  memcpy(to, &value, sizeof value);
}

#if defined(__clang__) || __GNUC__ >= 12
#define GROUPNL_SHUFFLE(one, other, ...) __builtin_shufflevector(one, other, __VA_ARGS__)
#else
#define GROUPNL_SHUFFLE(one, other, ...) __builtin_shuffle(one, other, decltype(one < other){__VA_ARGS__})
#endif

// Sums of neighbouring lanes: those of `one` in the lower half, those of `other` in the upper.
inline __attribute__((always_inline)) Vector<8> sums_of_pairs(const Vector<8>& one, const Vector<8>& other) {
  return GROUPNL_SHUFFLE(one, other, 0, 2, 4, 6, 8, 10, 12, 14) +
         GROUPNL_SHUFFLE(one, other, 1, 3, 5, 7, 9, 11, 13, 15);
}

inline __attribute__((always_inline)) Vector<16> sums_of_pairs(const Vector<16>& one, const Vector<16>& other) {
  return GROUPNL_SHUFFLE(one, other, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
         GROUPNL_SHUFFLE(one, other, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

// --- the seed convolution

constexpr int kStrip = 7;  // pixels at once: their sums stay in registers, and rows are often multiples of 7

// Which of the kernel's columns a strip sees. Where the padding is half the kernel and the input is `step` times as
// wide as the output, that is known for the strips at both ends of a row as well.
enum class Ends { inside, left, right, both, some };  // some: columns `begin` to `end` - 1 of one pixel

template <int kernel, int step, int pixels, Ends ends>
constexpr bool sees(int pixel, int column) {
  const int pad = kernel / 2;
  const bool left = ends == Ends::left || ends == Ends::both;
  const bool right = ends == Ends::right || ends == Ends::both;
  return !(left && pixel * step + column < pad) && !(right && column >= (pixels - pixel) * step + pad);
}

// What one output row meets: rows `first` to `last` - 1 of the kernel lie inside the input.
struct Row {
  int64_t top;  // input row of the kernel's first
  int64_t first;
  int64_t last;
};

// Sums of `pixels` neighbouring output pixels. `left`: column of the input that the first pixel meets with the kernel's
// first.
template <int b, int kernel, int step, int pixels, Ends ends>
inline __attribute__((always_inline)) void add_block(const BlockedWindow& window, const Row& row, int which,
                                                     int64_t left, int64_t begin, int64_t end, Vector<b>* sums) {
  const int64_t columns = kernel == 0 ? window.columns.kernel : kernel;
  const int64_t stride = step == 0 ? window.columns.stride : step;
  const int64_t dilation = kernel == 0 ? window.columns.dilation : 1;
  const int64_t pitch = window.columns.in * b * window.rows.dilation;
  const float* from = window.x[which] + ((row.top + row.first * window.rows.dilation) * window.columns.in + left) * b;
  const float* weight = window.weight[which] + row.first * columns * b;
#pragma GCC unroll 8
  for (int p = 0; p < pixels; ++p) sums[p] = Vector<b>{};
  for (int64_t i = row.first; i < row.last; ++i, from += pitch, weight += columns * b) {
    if (kernel != 0 && ends != Ends::some) {  // the whole kernel, unrolled
#pragma GCC unroll 8
      for (int j = 0; j < kernel; ++j) {
        const Vector<b> factor = load<b>(weight + j * b);
#pragma GCC unroll 8
        for (int p = 0; p < pixels; ++p) {
          if (sees<kernel, step, pixels, ends>(p, j)) sums[p] += factor * load<b>(from + (p * stride + j) * b);
        }
      }
    } else {
      for (int64_t j = begin; j < end; ++j) {
        const Vector<b> factor = load<b>(weight + j * b);
#pragma GCC unroll 8
        for (int p = 0; p < pixels; ++p) sums[p] += factor * load<b>(from + (p * stride + j * dilation) * b);
      }
    }
  }
}

template <int b, int kernel, int step, int pixels, Ends ends>
inline void convolve_strip(const BlockedWindow& window, const Row& row, int64_t pixel, int64_t begin, int64_t end,
                           float* y, int64_t pitch, float* squares) {
  const int64_t left = pixel * (step == 0 ? window.columns.stride : step) - window.columns.pad;
  Vector<b> one[pixels];
  Vector<b> other[pixels];
  add_block<b, kernel, step, pixels, ends>(window, row, 0, left, begin, end, one);
  if (window.x[1] != nullptr) {
    add_block<b, kernel, step, pixels, ends>(window, row, 1, left, begin, end, other);
  } else {
#pragma GCC unroll 8
    for (int p = 0; p < pixels; ++p) other[p] = Vector<b>{};
  }
  const Vector<b> bias = load<b>(window.bias);
#pragma GCC unroll 8
  for (int p = 0; p < pixels; ++p) {
    const Vector<b> seed = (window.pairs ? sums_of_pairs(one[p], other[p]) : one[p]) + bias;
    store<b>(y + (pixel + p) * pitch, seed);
    float* square = squares + (pixel + p) * b;
    store<b>(square, load<b>(square) + seed * seed);
  }
}

template <int b, int kernel, int step>
void convolve_rows(const BlockedWindow& window, int64_t begin_row, int64_t end_row, float* y, int64_t pitch,
                   float* squares) {
  const Axis& rows = window.rows;
  const Axis& across = window.columns;
  const int64_t columns = across.kernel;
  const int64_t width = window.width;
  const bool even = kernel != 0 && across.pad == kernel / 2 && across.in == width * step && width % kStrip == 0;
  // Between `first` and `last` lie the pixels whose window is inside the input.
  const int64_t first_inside = (across.pad + across.stride - 1) / across.stride;
  const int64_t room = across.in - 1 - (columns - 1) * across.dilation + across.pad;
  const int64_t first = first_inside < width ? first_inside : width;
  int64_t last = room < 0 ? 0 : room / across.stride + 1;
  last = last > width ? width : last;
  for (int64_t at = begin_row; at < end_row; ++at, y += width * pitch, squares += width * b) {
    Row row{at * rows.stride - rows.pad, 0, rows.kernel};
    while (row.first < row.last && row.top + row.first * rows.dilation < 0) ++row.first;
    while (row.first < row.last && row.top + (row.last - 1) * rows.dilation >= rows.in) --row.last;
    if (even) {
      if (width == kStrip) {
        convolve_strip<b, kernel, step, kStrip, Ends::both>(window, row, 0, 0, columns, y, pitch, squares);
        continue;
      }
      convolve_strip<b, kernel, step, kStrip, Ends::left>(window, row, 0, 0, columns, y, pitch, squares);
      int64_t pixel = kStrip;
      for (; pixel + kStrip < width; pixel += kStrip) {
        convolve_strip<b, kernel, step, kStrip, Ends::inside>(window, row, pixel, 0, columns, y, pitch, squares);
      }
      convolve_strip<b, kernel, step, kStrip, Ends::right>(window, row, pixel, 0, columns, y, pitch, squares);
      continue;
    }
    const auto edge = [&](int64_t pixel) {
      const int64_t left = pixel * across.stride - across.pad;
      const int64_t begin = left >= 0 ? 0 : (-left + across.dilation - 1) / across.dilation;
      int64_t end = across.in <= left ? 0 : (across.in - left + across.dilation - 1) / across.dilation;
      end = end > columns ? columns : end;
      convolve_strip<b, kernel, step, 1, Ends::some>(window, row, pixel, begin, end, y, pitch, squares);
    };
    int64_t pixel = 0;
    for (; pixel < first; ++pixel) edge(pixel);
    for (; pixel + kStrip <= last; pixel += kStrip) {
      convolve_strip<b, kernel, step, kStrip, Ends::inside>(window, row, pixel, 0, columns, y, pitch, squares);
    }
    for (; pixel + 3 <= last; pixel += 3) {
      convolve_strip<b, kernel, step, 3, Ends::inside>(window, row, pixel, 0, columns, y, pitch, squares);
    }
    for (; pixel < last; ++pixel) {
      convolve_strip<b, kernel, step, 1, Ends::inside>(window, row, pixel, 0, columns, y, pitch, squares);
    }
    for (; pixel < width; ++pixel) edge(pixel);
  }
}

template <int b>
void convolve(const BlockedWindow& window, int64_t begin, int64_t end, float* y, int64_t pitch, float* squares) {
  const auto with = [&](auto run) { run(window, begin, end, y, pitch, squares); };
  const Axis& across = window.columns;
  if (across.dilation == 1 && across.kernel == 3 && across.stride == 1) return with(convolve_rows<b, 3, 1>);
  if (across.dilation == 1 && across.kernel == 3 && across.stride == 2) return with(convolve_rows<b, 3, 2>);
  if (across.dilation == 1 && across.kernel == 5 && across.stride == 1) return with(convolve_rows<b, 5, 1>);
  if (across.dilation == 1 && across.kernel == 5 && across.stride == 2) return with(convolve_rows<b, 5, 2>);
  return with(convolve_rows<b, 0, 0>);
}

template <int b>
void copy(const float* x, int64_t lanes, float* y, int64_t pitch, float* squares, int64_t pixels) {
  if (lanes >= b) {
    for (int64_t i = 0; i < pixels; ++i) {
      const Vector<b> seed = load<b>(x + i * b);
      store<b>(y + i * pitch, seed);
      store<b>(squares + i * b, load<b>(squares + i * b) + seed * seed);
    }
    return;
  }
  for (int64_t i = 0; i < pixels; ++i) {
    for (int64_t lane = 0; lane < b; ++lane) {
      const float seed = lane < lanes ? x[i * b + lane] : 0.0F;
      y[i * pitch + lane] = seed;
      squares[i * b + lane] += seed * seed;
    }
  }
}

// --- the norm

// sums[i] = the sum of the lanes of vector i: b vectors at once, in a tree of sums of pairs that leaves no lane idle.
template <int b>
inline void sum_lanes(const float* from, float* sums, int64_t count) {
  int64_t i = 0;
  for (; i + b <= count; i += b) {
    Vector<b> parts[b];
#pragma GCC unroll 16
    for (int k = 0; k < b; ++k) parts[k] = load<b>(from + (i + k) * b);
#pragma GCC unroll 4
    for (int many = b / 2; many > 0; many /= 2) {
#pragma GCC unroll 8
      for (int k = 0; k < many; ++k) parts[k] = sums_of_pairs(parts[2 * k], parts[2 * k + 1]);
    }
    store<b>(sums + i, parts[0]);
  }
  for (; i < count; ++i) {
    Vector<b> value = load<b>(from + i * b);
    for (int many = b; many > 1; many /= 2) value = sums_of_pairs(value, value);
    sums[i] = value[0];
  }
}

template <int b>
void inverse_norms(const float* squares, float gain, const float* y, int64_t pitch, int64_t seed_channels,
                   float* inverse, int64_t pixels) {
  sum_lanes<b>(squares, inverse, pixels);
  int overflow = 0;
  for (int64_t i = 0; i < pixels; ++i) {
    overflow |= inverse[i] > FLT_MAX;
    const float norm = sqrtf(inverse[i]);
    inverse[i] = gain / (norm < kLeastNorm ? kLeastNorm : norm);
  }
  if (!overflow) return;
  for (int64_t i = 0; i < pixels; ++i) {
    if (inverse[i] != 0.0F) continue;
    double sum = 0.0;
    for (int64_t s = 0; s < seed_channels; ++s) {
      const double seed = y[i * pitch + s];
      sum += seed * seed;
    }
    inverse[i] = static_cast<float>(gain / sqrt(sum));
  }
}

// --- the output channels

// All activations but hardswish bound a number from below, from above or not at all. A NaN stays a NaN.
template <int b, bool hardswish>
class Activated {
 public:
  explicit Activated(Activation kind)
      : least_((kind == Activation::none ? -INFINITY : 0.0F) - Vector<b>{}),
        most_((kind == Activation::relu6 ? 6.0F : INFINITY) - Vector<b>{}) {}

  inline __attribute__((always_inline)) Vector<b> operator()(Vector<b> value) const {
    if (hardswish) {
      const Vector<b> zero = {};
      Vector<b> gate = value * (1.0F / 6.0F) + 0.5F;
      gate = gate < zero ? zero : gate;
      return value * (gate > zero + 1.0F ? zero + 1.0F : gate);
    }
    value = value < least_ ? least_ : value;
    return value > most_ ? most_ : value;
  }

 private:
  Vector<b> least_;
  Vector<b> most_;
};

// The seed maps that the lanes of a block read, in two runs of neighbours.
template <int b>
class TwoRuns {
 public:
  explicit TwoRuns(const LaneBlock& block) : from_(block.from), then_(block.then) {
    for (int lane = 0; lane < b; ++lane) {
      first_[lane] = lane < block.turn ? -1 : 0;
      channel_[lane] = lane < block.lanes ? -1 : 0;
    }
  }

  Vector<b> load_at(const float* seeds, float inverse) const {
    const Vector<b> value = (first_ ? load<b>(seeds + from_) : load<b>(seeds + then_)) * inverse;
    return channel_ ? value : Vector<b>{};
  }

 private:
  using Mask = typename Lanes<b>::Mask;

  int64_t from_;
  int64_t then_;
  Mask first_;
  Mask channel_;
};

// In one run, as most blocks do.
template <int b>
class OneRun {
 public:
  explicit OneRun(const LaneBlock& block) : from_(block.from) {}

  Vector<b> load_at(const float* seeds, float inverse) const { return load<b>(seeds + from_) * inverse; }

 private:
  int64_t from_;
};

template <int b, bool hardswish, int degree, class Runs>
void polynomial(const LaneBlock& block, Activation activation, const float* y, int64_t pitch, const float* inverse,
                float* out, int64_t pixels) {
  const Runs runs(block);
  const Activated<b, hardswish> activated(activation);
  Vector<b> coefficients[degree + 1];
#pragma GCC unroll 16
  for (int i = 0; i <= degree; ++i) coefficients[i] = load<b>(block.constants + i * b);
  for (int64_t i = 0; i < pixels; ++i) {
    const Vector<b> seed = runs.load_at(y + i * pitch, inverse[i]);
    Vector<b> value = coefficients[0];
#pragma GCC unroll 16
    for (int k = 1; k <= degree; ++k) value = value * seed + coefficients[k];
    store<b>(out + i * b, activated(value));
  }
}

template <int b, bool hardswish, int degree>
void polynomial_pair(const LaneBlock& seeds, const LaneBlock& block, Activation activation, const float* y,
                     int64_t pitch, const float* inverse, float* seed_out, float* out, int64_t pixels) {
  const float* affine = seeds.constants;
  const float* constants = block.constants;
  const Activated<b, hardswish> activated(activation);
  const Vector<b> scale = load<b>(affine);
  const Vector<b> offset = load<b>(affine + b);
  Vector<b> coefficients[degree + 1];
#pragma GCC unroll 16
  for (int i = 0; i <= degree; ++i) coefficients[i] = load<b>(constants + i * b);
  for (int64_t i = 0; i < pixels; ++i) {
    const Vector<b> seed = load<b>(y + i * pitch + block.from) * inverse[i];
    store<b>(seed_out + i * b, activated(seed * scale + offset));
    Vector<b> value = coefficients[0];
#pragma GCC unroll 16
    for (int k = 1; k <= degree; ++k) value = value * seed + coefficients[k];
    store<b>(out + i * b, activated(value));
  }
}

template <int b>
void expand_pair(const LaneBlock& seeds, const LaneBlock& block, Activation activation, const float* y, int64_t pitch,
                 const float* inverse, float* seed_out, float* out, int64_t pixels) {
  const auto with = [&](auto run) { run(seeds, block, activation, y, pitch, inverse, seed_out, out, pixels); };
  const bool longer = block.wave == Wave::degree11;
  if (activation == Activation::hardswish) {
    return longer ? with(polynomial_pair<b, true, 11>) : with(polynomial_pair<b, true, 9>);
  }
  return longer ? with(polynomial_pair<b, false, 11>) : with(polynomial_pair<b, false, 9>);
}

template <int b, bool hardswish, class Runs>
void half_turns(const LaneBlock& block, Activation activation, const float* y, int64_t pitch, const float* inverse,
                float* out, int64_t pixels) {
  const Runs runs(block);
  const Activated<b, hardswish> activated(activation);
  float rate[b], rate_rest[b], phase[b], waves[b];
  memcpy(rate, block.constants, sizeof rate);
  memcpy(rate_rest, block.constants + b, sizeof rate);
  memcpy(phase, block.constants + 2 * b, sizeof rate);
  const Vector<b> scale = load<b>(block.constants + 3 * b);
  const Vector<b> offset = load<b>(block.constants + 4 * b);
  memcpy(waves, block.constants + 5 * b, sizeof rate);
  for (int64_t i = 0; i < pixels; ++i) {
    float seeds[b], values[b];
    store<b>(seeds, runs.load_at(y + i * pitch, inverse[i]));
#pragma omp simd
    for (int lane = 0; lane < b; ++lane) {
      const float wave = sine(seeds[lane], rate[lane], rate_rest[lane], phase[lane]);
      values[lane] = waves[lane] != 0.0F ? wave : seeds[lane];
    }
    for (int lane = 0; block.checked && lane < b; ++lane) {
      const Sine& exact = block.sines[lane];
      if (waves[lane] == 0.0F || (!exact.exact && !(fabsf(seeds[lane] * rate[lane]) > kMostHalfTurns))) continue;
      values[lane] = static_cast<float>(sin(exact.period * (static_cast<double>(seeds[lane]) - exact.shift)));
    }
    store<b>(out + i * b, activated(load<b>(values) * scale + offset));
  }
}

template <int b, bool hardswish, class Runs>
void expand_from(const LaneBlock& block, Activation activation, const float* y, int64_t pitch, const float* inverse,
                 float* out, int64_t pixels) {
  const auto with = [&](auto run) { run(block, activation, y, pitch, inverse, out, pixels); };
  switch (block.wave) {
    case Wave::affine: return with(polynomial<b, hardswish, 1, Runs>);
    case Wave::degree9: return with(polynomial<b, hardswish, 9, Runs>);
    case Wave::degree11: return with(polynomial<b, hardswish, 11, Runs>);
    case Wave::half_turns: return with(half_turns<b, hardswish, Runs>);
  }
}

template <int b>
void expand(const LaneBlock& block, Activation activation, const float* y, int64_t pitch, const float* inverse,
            float* spare, float* out, int64_t pixels) {
  const bool hardswish = activation == Activation::hardswish;
  const auto in_one = hardswish ? expand_from<b, true, OneRun<b>> : expand_from<b, false, OneRun<b>>;
  const auto in_two = hardswish ? expand_from<b, true, TwoRuns<b>> : expand_from<b, false, TwoRuns<b>>;
  if (block.turn == b && block.lanes == b) return in_one(block, activation, y, pitch, inverse, out, pixels);
  if (block.turn >= 0) return in_two(block, activation, y, pitch, inverse, out, pixels);
  for (int64_t i = 0; i < pixels; ++i) {
    for (int lane = 0; lane < block.lanes; ++lane) spare[i * b + lane] = y[i * pitch + block.sources[lane]];
    for (int64_t lane = block.lanes; lane < b; ++lane) spare[i * b + lane] = 0.0F;
  }
  LaneBlock gathered = block;
  gathered.from = gathered.then = 0;
  gathered.turn = b;
  in_two(gathered, activation, spare, b, inverse, out, pixels);
}

template <int b>
void gate(const float* x, const float* factors, float* out, int64_t pixels) {
  const Vector<b> factor = load<b>(factors);
  for (int64_t i = 0; i < pixels; ++i) store<b>(out + i * b, load<b>(x + i * b) * factor);
}

}  // namespace

extern const BlockedKernels GROUPNL_JOIN(blocked8_, GROUPNL_ISA);
const BlockedKernels GROUPNL_JOIN(blocked8_, GROUPNL_ISA) = {
    convolve<8>, copy<8>, inverse_norms<8>, expand<8>, expand_pair<8>, gate<8>};
extern const BlockedKernels GROUPNL_JOIN(blocked16_, GROUPNL_ISA);
const BlockedKernels GROUPNL_JOIN(blocked16_, GROUPNL_ISA) = {
    convolve<16>, copy<16>, inverse_norms<16>, expand<16>, expand_pair<16>, gate<16>};

}  // namespace groupnl
