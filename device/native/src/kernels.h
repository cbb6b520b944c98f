// The inner loops, compiled once for each instruction set, and the choice between them at run time.
#pragma once

#include <cstdint>

namespace groupnl {

enum class Activation : int { none, relu, relu6, hardswish };

// One generated map: sin(period (y - shift)), in half turns so that the range reduction is exact.
struct Sine {
  float rate;         // period / pi, rounded
  float rate_rest;    // what the rounding left
  float phase;        // period shift / pi, reduced to [-1, 1]
  bool exact;         // the constants are too large for the fast way
  double period;      // radians per unit
  double shift;       // in units of y
  std::int64_t into;  // channel of the output
};

// Everything after the seed convolution, for one layer.
struct Tail {
  std::int64_t seed_channels;
  bool normalize;             // divide each pixel's channels by max(|y|_2, 1e-12) ...
  float gain;                 // ... and multiply by this
  Activation activation;
  const Sine* sines;          // ordered by the seed map they read
  const std::int64_t* first;  // (seed_channels + 1): those that read seed map s are first[s] .. first[s + 1] - 1
  const float* scale;         // (output channels): scale * map + offset, then the activation
  const float* offset;
};

constexpr std::int64_t kMostPixels = 512;  // that one call of `tail` takes
constexpr float kLeastNorm = 1e-12F;

struct Kernels {
  const char* name;

  // All output channels of `pixels` neighbouring pixels. Channel c starts at in + c * in_pitch, out + c * out_pitch.
  // `in` may be `out`: the seed maps are then replaced in place.
  void (*tail)(const Tail& tail, const float* in, std::int64_t in_pitch, float* out, std::int64_t out_pitch,
               std::int64_t pixels);

  // sums[i] = bias + sum over t of weights[t] * rows[t][i], for i below count.
  void (*weighted_sum)(const float* const* rows, const float* weights, std::int64_t terms, float bias, float* sums,
                       std::int64_t count);
};

// The best set for this processor, chosen once. GROUPNL_NATIVE_ISA=baseline|avx2|avx512 lowers the choice, for tests.
const Kernels& kernels();

}  // namespace groupnl
