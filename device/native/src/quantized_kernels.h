// The inner loops of the int8 operators: channels last, pixel by pixel. Compiled once for each instruction set.
#pragma once

#include <cstdint>

namespace groupnl {

constexpr std::int64_t kPadding = 16;        // arrays by channel have room for a multiple of it, zeros at the end
constexpr std::int64_t kPixelsTogether = 8;  // whose constants are loaded once

struct Run {  // generated maps side by side that read seed maps side by side
  std::int64_t from;       // the first seed map
  std::int64_t into;       // the first channel of the output
  std::int64_t count;
  std::int64_t constants;  // where those of the first one are; a multiple of kPadding
};

// Everything after the seed convolution, for one layer; lengths of outputs are steps of the quantised output.
struct QuantizedTail {
  std::int64_t seeds;
  std::int64_t channels;  // of the output
  std::int64_t pitch;     // floats of a pixel's seed maps in scratch: at least seeds + kPadding
  std::int64_t run_count;
  const Run* runs;
  bool normalize;          // divide each pixel's channels by max(|y|_2, least_norm) and multiply by gain ...
  float gain;
  float least_norm;
  bool clamp;              // ... then clip to [-1, 1]
  const float* scale;      // by seed map
  const float* offset;
  const float* rate;       // by generated map: period / pi, its first 12 bits
  const float* rate_rest;  // and the others
  const float* phase;      // period shift / pi, reduced to [-1, 1]
  const float* sine_scale;
  const float* sine_offset;
  bool hardswish;
  float gate;     // hardswish: v clip(gate v + 1/2, 0, 1)
  float lowest;   // then clip to these, which holds ReLU and the range of uint8
  float highest;
  std::int32_t zero_point;
};

// A convolution as sums over pairs of neighbouring bytes: sum over t of a weight[t][s][0] + b weight[t][s][1].
struct PairSums {
  std::int64_t seeds;          // at least kPadding, with zeros if need be
  std::int64_t terms;
  const std::int16_t* weight;  // (terms, seeds, 2)
  const std::int8_t* quads;    // ((terms + 1) / 2, seeds, 4): the same, of two terms each, for VNNI
  const std::int32_t* base;    // (seeds): what the input's zero point takes away
  const float* factor;         // (seeds): y = factor * sum + bias
  const float* bias;
};

struct QuantizedKernels {
  const char* name;

  // `pixels` pixels of seed maps to as many of the output. `y`: scratch of kPixelsTogether
  // * pitch zeros.
  void (*expand)(const QuantizedTail& tail, const std::uint8_t* in, std::int32_t in_zero_point, std::uint8_t* out,
                 std::int64_t pixels, float* y);

  // The same, seed maps summed here: term t of pixel p reads the pairs at rows[t] + p * step.
  // `moved`: scratch for as many pointers and one more.
  void (*sparse_expand)(const QuantizedTail& tail, const PairSums& sums, const std::uint8_t* const* rows,
                        std::int64_t step, std::uint8_t* out, std::int64_t pixels, float* y,
                        const std::uint8_t** moved);
};

// The best set for this processor, as kernels(); GROUPNL_NATIVE_ISA may also be avx512vnni.
const QuantizedKernels& quantized_kernels();

}  // namespace groupnl
