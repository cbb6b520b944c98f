// The two int8 operators on plain arrays, without ONNX Runtime. Channels last.
#pragma once

#include <cstdint>
#include <vector>

#include "pool.h"
#include "quantized_plan.h"
#include "sparse_convolution.h"

namespace groupnl {

struct Quantized {  // real = scale * (integer - zero_point)
  float scale;
  std::uint8_t zero_point;
};

// Everything after a dense seed convolution.
class QuantizedExpand {
 public:
  // Throws std::invalid_argument.
  QuantizedExpand(const QuantizedConstants& constants, Quantized in);

  const QuantizedPlan& plan() const { return plan_; }

  // seed_maps (pixels, S) to out (pixels, S + G), pixels of all pictures.
  void run(Pool& pool, std::int64_t pixels, const std::uint8_t* seed_maps, std::uint8_t* out) const;

 private:
  void look_up(const std::uint8_t* in, std::uint8_t* out, std::int64_t pixels) const;

  Quantized in_;
  QuantizedPlan plan_;
  std::vector<std::uint8_t> tables_;  // 256 values for each output channel, where it depends on one seed map alone
  std::vector<Run> runs_;             // of these, of seed maps as well: short ones, whose tables stay in the L1 cache
};

struct QuantizedWeights {
  std::int64_t maps;
  std::int64_t inputs;  // of each map
  std::int64_t kernel_height;
  std::int64_t kernel_width;
  const std::int8_t* values;  // (maps, inputs, kernel_height, kernel_width)
  const float* scales;        // (maps)
  const float* bias;          // (maps), or null
};

// The seed convolution of sparse GroupNL as well; its sums are exact.
class QuantizedSparseExpand {
 public:
  // Throws std::invalid_argument.
  QuantizedSparseExpand(const QuantizedConstants& constants, const QuantizedWeights& weights, Quantized in);

  const QuantizedPlan& plan() const { return plan_; }

  // x (N, H, W, maps * inputs) to out (N, H', W', S + G); the windows' kernels are those of the weights.
  void run(Pool& pool, std::int64_t batch, const Window& rows, const Window& columns, const std::uint8_t* x,
           std::uint8_t* out) const;

 private:
  class Band;

  void exact_row(const Window& rows, const Window& columns, const std::uint8_t* picture, std::int64_t row,
                 std::uint8_t* out) const;

  Quantized in_;
  std::int64_t maps_;
  std::int64_t inputs_;
  std::int64_t width_;  // pairs of a group, at least kPadding
  std::int64_t groups_;  // of pairs, the last one with a zero where the inputs are odd
  std::vector<std::int8_t> values_;
  SeedRange range_;
  QuantizedPlan plan_;
  std::vector<std::int16_t> weight_;
  std::vector<std::int8_t> quads_;
  std::vector<std::int32_t> base_;
  std::vector<float> factor_;
  std::vector<float> bias_;
  PairSums sums_{};
};

}  // namespace groupnl
