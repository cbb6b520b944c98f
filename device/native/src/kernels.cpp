// Compiled several times, each time with other instructions and another GROUPNL_ISA. So that the linker can never mix
// two of them up, nothing here may be an inline function or template of a shared header: plain C calls only.
#include "kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define GROUPNL_TEXT_(name) #name
#define GROUPNL_TEXT(name) GROUPNL_TEXT_(name)
#define GROUPNL_JOIN_(a, b) a##b
#define GROUPNL_JOIN(a, b) GROUPNL_JOIN_(a, b)

namespace groupnl {
namespace {

using std::int64_t;
using std::uint32_t;
using std::uint64_t;

// sin(pi f) = f P(f^2) for |f| <= 1/2: the polynomial of degree 9 with the least largest error, 3.4e-9 (Remez's
// exchange in 40 digits); evaluated in float32 it is off by at most 2.1e-7.
constexpr float kSine[] = {3.141592580044863F, -5.167706878934977F, 2.550031377418012F, -0.5980451749063062F,
                           0.07722013039975908F};
constexpr float kMostHalfTurns = 1048576.0F;  // 2^20: beyond it the fast way would lose digits

inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

inline float sine_of_half_turns(float part, uint32_t sign) {
  const float square = part * part;
  float value = kSine[4];
  value = value * square + kSine[3];
  value = value * square + kSine[2];
  value = value * square + kSine[1];
  value = value * square + kSine[0];
  return float_of(bits_of(value * part) ^ sign);
}

// Adding 1.5 * 2^23 (2^52) rounds a float (double) to an integer, whose lowest bit is then that of the sum.
inline float sine(float y, float rate, float rate_rest, float phase) {
#ifdef __FP_FAST_FMAF
  const float shifted = __builtin_fmaf(y, rate, -phase) + 12582912.0F;
  const float whole = shifted - 12582912.0F;
  const float part = __builtin_fmaf(y, rate, -whole) + __builtin_fmaf(y, rate_rest, -phase);
  return sine_of_half_turns(part, bits_of(shifted) << 31);
#else
  const double half_turns = static_cast<double>(y) * (static_cast<double>(rate) + rate_rest) - phase;
  const double shifted = half_turns + 6755399441055744.0;
  const double part = half_turns - (shifted - 6755399441055744.0);
  return sine_of_half_turns(static_cast<float>(part), static_cast<uint32_t>(bits_of(shifted)) << 31);
#endif
}

template <Activation kind>
inline float activate(float value) {  // a NaN stays a NaN
  if (kind == Activation::relu || kind == Activation::relu6) value = value < 0.0F ? 0.0F : value;
  if (kind == Activation::relu6) value = value > 6.0F ? 6.0F : value;
  if (kind == Activation::hardswish) {
    float gate = value * (1.0F / 6.0F) + 0.5F;
    gate = gate < 0.0F ? 0.0F : gate;
    gate = gate > 1.0F ? 1.0F : gate;
    value = value * gate;
  }
  return value;
}

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
