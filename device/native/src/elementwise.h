// What the loops do to one number: the sine and the activations. For the kernel files alone, which are compiled once
// for each instruction set: everything here has internal linkage, so that the linker can never mix two copies up.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.h"

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

}  // namespace
}  // namespace groupnl
