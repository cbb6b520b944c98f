// What follows the seed convolution of one int8 layer: its constants made ready, in float32 and in double.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "quantized_kernels.h"

namespace groupnl {

enum class QuantizedNormalize : int { none, l2, rms, clamp };

struct QuantizedConstants {  // of a layer, as the operator gets them; read, not kept
  std::int64_t seed_channels;
  std::int64_t generated;
  const float* period;         // (generated)
  const float* shift;          // (generated)
  const std::int64_t* source;  // (generated): the seed map each reads, or null: map g reads seed map g
  const float* scale;          // (seed_channels + generated), or null
  const float* offset;         // likewise
  QuantizedNormalize normalize;
  Activation activation;
  float scale_out;
  std::uint8_t zero_point_out;
};

// How the seed maps come about: y = factor[s] * integer + bias[s], where |integer| <= largest[s].
struct SeedRange {
  std::vector<double> factor;
  std::vector<double> bias;
  std::vector<double> largest;
  double unit = 0.0;  // the kernels get y times this; 0: the plan says what they get
};

class QuantizedPlan {
 public:
  // Throws std::invalid_argument.
  QuantizedPlan(const QuantizedConstants& constants, const SeedRange& seeds);

  QuantizedPlan(const QuantizedPlan&) = delete;
  QuantizedPlan& operator=(const QuantizedPlan&) = delete;

  std::int64_t seed_channels() const { return tail_.seeds; }
  std::int64_t out_channels() const { return tail_.channels; }

  // Whether each output is a function of one seed map's value in the same pixel.
  bool pointwise() const { return !tail_.normalize; }

  // By output channel the seed map that it reads.
  const std::vector<std::int32_t>& source() const { return source_; }

  // Whether float32 holds the layer within the error that the README states; `exact` has to do its work otherwise.
  bool fast() const { return fast_; }

  // For the kernels, where fast(). They want y times `unit`.
  const QuantizedTail& tail() const { return tail_; }
  double unit() const { return unit_; }

  // All output channels of one pixel, in double; y becomes the normalised seed maps.
  void exact(double* y, std::uint8_t* out) const;

  // One output channel of a normalised seed map.
  std::uint8_t exact_value(std::int64_t channel, double y) const;

 private:
  void find_runs();
  void make_fast(const SeedRange& seeds);

  QuantizedTail tail_{};
  QuantizedNormalize normalize_;
  Activation activation_;
  double scale_out_;
  double unit_ = 1.0;
  bool fast_ = false;
  std::vector<std::int32_t> source_;
  std::vector<double> period_;  // by generated map
  std::vector<double> shift_;
  std::vector<double> scale_;  // by output channel
  std::vector<double> offset_;
  std::vector<Run> runs_;
  std::vector<float> arrays_[7];
};

// Throws std::invalid_argument unless all are finite; `what` begins the message.
void expect_finite(const char* what, const float* values, std::int64_t count);

// Throws std::invalid_argument unless all are finite and positive.
void expect_scales(const char* what, const float* values, std::int64_t count);

}  // namespace groupnl
