// What follows the seed convolution of one layer: its constants made ready, and the work cut into blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "pool.h"

namespace groupnl {

enum class Normalize : int { none, l2, rms };

class TailPlan {
 public:
  // The arrays are read, not kept. `source`: by generated map the seed map it reads, or null: map g reads seed map g.
  // `scale`, `offset`: by output channel, or null. Throws std::invalid_argument.
  TailPlan(std::int64_t seed_channels, std::int64_t generated, const float* period, const float* shift,
           const std::int64_t* source, const float* scale, const float* offset, Normalize normalize,
           Activation activation);

  TailPlan(const TailPlan&) = delete;
  TailPlan& operator=(const TailPlan&) = delete;

  std::int64_t seed_channels() const { return tail_.seed_channels; }
  std::int64_t out_channels() const { return tail_.seed_channels + static_cast<std::int64_t>(sines_.size()); }

  const Tail& tail() const { return tail_; }

  // All output channels of `pixels` neighbouring pixels; as Kernels::tail, but of any number and in parallel.
  void run(Pool& pool, const float* in, std::int64_t in_pitch, float* out, std::int64_t out_pitch,
           std::int64_t pixels) const;

 private:
  Tail tail_;
  std::vector<Sine> sines_;
  std::vector<std::int64_t> first_;
  std::vector<float> scale_;
  std::vector<float> offset_;
};

}  // namespace groupnl
