// Compiled several times, each time with other instructions and another GROUPNL_ISA. So that the linker can never mix
// two of them up, nothing here may be an inline function or template of a shared header (elementwise.h: internal
// linkage only): plain C calls.
#include "kernels.h"

#include "elementwise.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define GROUPNL_TEXT_(name) #name
#define GROUPNL_TEXT(name) GROUPNL_TEXT_(name)
#define GROUPNL_JOIN_(a, b) a##b
#define GROUPNL_JOIN(a, b) GROUPNL_JOIN_(a, b)

namespace groupnl {
namespace {

// inverse[i] = gain / max(|y|_2, 1e-12) of pixel i.
void inverse_norms(const Tail& tail, const float* in, int64_t pitch, float* inverse, int64_t pixels) {
  memset(inverse, 0, sizeof(float) * static_cast<size_t>(pixels));
  int64_t channel = 0;
  for (; channel + 4 <= tail.seed_channels; channel += 4) {
    const float* a = in + channel * pitch;
    const float* b = a + pitch;
    const float* c = b + pitch;
    const float* d = c + pitch;
    for (int64_t i = 0; i < pixels; ++i) inverse[i] += (a[i] * a[i] + b[i] * b[i]) + (c[i] * c[i] + d[i] * d[i]);
  }
  for (; channel < tail.seed_channels; ++channel) {
    const float* a = in + channel * pitch;
    for (int64_t i = 0; i < pixels; ++i) inverse[i] += a[i] * a[i];
  }
  int overflow = 0;
  for (int64_t i = 0; i < pixels; ++i) {
    overflow |= inverse[i] > FLT_MAX;
    const float norm = sqrtf(inverse[i]);
    inverse[i] = tail.gain / (norm < kLeastNorm ? kLeastNorm : norm);
  }
  if (!overflow) return;
  for (int64_t i = 0; i < pixels; ++i) {
    if (inverse[i] != 0.0F) continue;
    double sum = 0.0;
    for (int64_t s = 0; s < tail.seed_channels; ++s) {
      const double y = in[s * pitch + i];
      sum += y * y;
    }
    inverse[i] = static_cast<float>(tail.gain / sqrt(sum));
  }
}

template <Activation kind>
void sine_row(const Sine& wave, const float* y, float scale, float offset, float* out, int64_t pixels) {
  const float rate = wave.rate;
  const float rate_rest = wave.rate_rest;
  const float phase = wave.phase;
  int far = wave.exact;
  for (int64_t i = 0; i < pixels; ++i) {
    far |= fabsf(y[i] * rate) > kMostHalfTurns;
    out[i] = activate<kind>(sine(y[i], rate, rate_rest, phase) * scale + offset);
  }
  if (!far) return;
  for (int64_t i = 0; i < pixels; ++i) {
    if (!wave.exact && !(fabsf(y[i] * rate) > kMostHalfTurns)) continue;
    const double value = sin(wave.period * (static_cast<double>(y[i]) - wave.shift));
    out[i] = activate<kind>(static_cast<float>(value) * scale + offset);
  }
}

template <Activation kind>
void tail_of(const Tail& tail, const float* in, int64_t in_pitch, float* out, int64_t out_pitch, int64_t pixels) {
  alignas(64) float inverse[kMostPixels];
  alignas(64) float y[kMostPixels];
  if (tail.normalize) inverse_norms(tail, in, in_pitch, inverse, pixels);
  for (int64_t s = 0; s < tail.seed_channels; ++s) {
    const float* seeds = in + s * in_pitch;
    if (tail.normalize) {
      for (int64_t i = 0; i < pixels; ++i) y[i] = seeds[i] * inverse[i];
    } else {
      memcpy(y, seeds, sizeof(float) * static_cast<size_t>(pixels));
    }
    for (int64_t g = tail.first[s]; g < tail.first[s + 1]; ++g) {
      const int64_t into = tail.sines[g].into;
      sine_row<kind>(tail.sines[g], y, tail.scale[into], tail.offset[into], out + into * out_pitch, pixels);
    }
    const float scale = tail.scale[s];
    const float offset = tail.offset[s];
    float* own = out + s * out_pitch;
    for (int64_t i = 0; i < pixels; ++i) own[i] = activate<kind>(y[i] * scale + offset);
  }
}

void tail(const Tail& tail, const float* in, int64_t in_pitch, float* out, int64_t out_pitch, int64_t pixels) {
  switch (tail.activation) {
    case Activation::none: return tail_of<Activation::none>(tail, in, in_pitch, out, out_pitch, pixels);
    case Activation::relu: return tail_of<Activation::relu>(tail, in, in_pitch, out, out_pitch, pixels);
    case Activation::relu6: return tail_of<Activation::relu6>(tail, in, in_pitch, out, out_pitch, pixels);
    case Activation::hardswish: return tail_of<Activation::hardswish>(tail, in, in_pitch, out, out_pitch, pixels);
  }
}

constexpr int kTogether = 9;  // terms of one pass: a 3x3 kernel, and few enough for the registers

// The unrolled part: the sum over `terms` rows, a number that the compiler knows, added to the bias or to the sums so
// far. Registers of 8 floats at most: the rows are not aligned, and wider loads would nearly all straddle two cache
// lines.
template <int terms, bool first>
void add_rows(const float* const* rows, const float* weights, float bias, float* __restrict sums, int64_t count) {
  const float* row[terms + 1];  // C++ has no arrays of none
  float weight[terms + 1];
  for (int t = 0; t < terms; ++t) {
    row[t] = rows[t];
    weight[t] = weights[t];
  }
#pragma omp simd simdlen(8)
  for (int64_t i = 0; i < count; ++i) {
    float sum = first ? bias : sums[i];
    for (int t = 0; t < terms; ++t) sum += weight[t] * row[t][i];
    sums[i] = sum;
  }
}

template <bool first>
void add_some(const float* const* rows, const float* weights, int64_t terms, float bias, float* sums, int64_t count) {
  switch (terms) {
    case 0: return add_rows<0, first>(rows, weights, bias, sums, count);
    case 1: return add_rows<1, first>(rows, weights, bias, sums, count);
    case 2: return add_rows<2, first>(rows, weights, bias, sums, count);
    case 3: return add_rows<3, first>(rows, weights, bias, sums, count);
    case 4: return add_rows<4, first>(rows, weights, bias, sums, count);
    case 5: return add_rows<5, first>(rows, weights, bias, sums, count);
    case 6: return add_rows<6, first>(rows, weights, bias, sums, count);
    case 7: return add_rows<7, first>(rows, weights, bias, sums, count);
    case 8: return add_rows<8, first>(rows, weights, bias, sums, count);
    default: return add_rows<kTogether, first>(rows, weights, bias, sums, count);
  }
}

void weighted_sum(const float* const* rows, const float* weights, int64_t terms, float bias, float* sums,
                  int64_t count) {
  add_some<true>(rows, weights, terms, bias, sums, count);
  for (int64_t done = kTogether; done < terms; done += kTogether) {
    add_some<false>(rows + done, weights + done, terms - done, bias, sums, count);
  }
}

}  // namespace

extern const Kernels GROUPNL_JOIN(kernels_, GROUPNL_ISA);
const Kernels GROUPNL_JOIN(kernels_, GROUPNL_ISA) = {GROUPNL_TEXT(GROUPNL_ISA), tail, weighted_sum};

}  // namespace groupnl
