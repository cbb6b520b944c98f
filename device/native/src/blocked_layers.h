// The two operators on maps in blocks of channels (see blocked_kernels.h), and the gate of squeeze-and-excitation.
#pragma once

#include <cstdint>
#include <vector>

#include "blocked_kernels.h"
#include "pool.h"
#include "sparse_convolution.h"
#include "tail_plan.h"

namespace groupnl {

// What follows the seed maps, block by block of output channels.
class BlockedTail {
 public:
  // `block`: 8 or 16 channels; throws std::invalid_argument for others. The plan is kept by reference.
  BlockedTail(const TailPlan& plan, std::int64_t block);

  std::int64_t block() const { return block_; }
  std::int64_t seed_blocks() const { return (plan_.seed_channels() + block_ - 1) / block_; }
  std::int64_t out_blocks() const { return (plan_.out_channels() + block_ - 1) / block_; }
  std::int64_t seed_channels() const { return plan_.seed_channels(); }

  // From a pixel's seed maps to the next's. Never an even number of blocks: else, where that is a power of two, all
  // pixels' maps would meet in a few sets of the L1 cache.
  std::int64_t pitch() const { return (seed_blocks() | 1) * block_; }

  // Seed maps (pixels, pitch) to out + k * out_pitch + i * block + lane; a block of anything lies before and behind
  // `y`. `squares` and `spare`: (pixels, block), `inverse`: one for each pixel.
  void run(const float* y, const float* squares, float* inverse, float* spare, float* out, std::int64_t out_pitch,
           std::int64_t pixels) const;

 private:
  bool in_pairs() const;
  void add_block(std::int64_t index);
  void add_polynomials(LaneBlock& made, const std::vector<const Sine*>& sines, std::int64_t first, int degree);
  void add_half_turns(LaneBlock& made, const std::vector<const Sine*>& sines, std::int64_t first);

  const TailPlan& plan_;
  std::int64_t block_;
  std::vector<std::int64_t> source_of_;    // by output channel
  std::vector<const Sine*> sine_of_;       // by output channel, null for seed maps
  std::vector<LaneBlock> blocks_;
  bool in_pairs_ = false;
  std::vector<std::vector<float>> constants_;
  std::vector<std::vector<std::int64_t>> sources_;
  std::vector<std::vector<Sine>> sines_;
};

// A sparse convolution with its weights in the order of the lanes.
class BlockedConvolution {
 public:
  // The arrays are read, not kept. Throws std::invalid_argument for more than two inputs to a map.
  BlockedConvolution(const SparseConvolution& convolution, std::int64_t block);

  std::int64_t block() const { return block_; }
  std::int64_t in_blocks() const { return (maps_ * inputs_ + block_ - 1) / block_; }

  // Output rows begin to end - 1 of seed block `index`: x (in_blocks, H, W, block) of one picture, to y and squares as
  // BlockedKernels::convolve.
  void run(const Window& rows, const Window& columns, const float* x, std::int64_t index, std::int64_t begin,
           std::int64_t end, float* y, std::int64_t pitch, float* squares) const;

 private:
  std::int64_t block_;
  std::int64_t maps_;
  std::int64_t inputs_;
  std::int64_t taps_;
  std::vector<float> weight_;  // (in_blocks, taps, block)
  std::vector<float> bias_;    // (seed blocks, block)
};

// seed_maps (N, seed blocks, pixels, b) to out (N, out blocks, pixels, b).
void blocked_expand(Pool& pool, const BlockedTail& tail, std::int64_t batch, std::int64_t pixels,
                    const float* seed_maps, float* out);

// x (N, in blocks, H, W, b) to out (N, out blocks, H', W', b).
void blocked_sparse_expand(Pool& pool, const BlockedConvolution& convolution, const Window& rows,
                           const Window& columns, const BlockedTail& tail, std::int64_t batch, const float* x,
                           float* out);

// x and out (maps, pixels, b), gate (maps, b): their product.
void blocked_gate(Pool& pool, std::int64_t block, std::int64_t maps, std::int64_t pixels, const float* x,
                  const float* gate, float* out);

}  // namespace groupnl
