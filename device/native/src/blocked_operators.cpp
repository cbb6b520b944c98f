#include "blocked_operators.h"

#include <algorithm>

#include "blocked_layers.h"
#include "operator_parts.h"
#include "tail_inputs.h"

namespace groupnl {
namespace {

// Channels of a block; throws std::invalid_argument where there are no kernels for as many.
std::int64_t block_of(const OrtApi& api, const OrtKernelInfo* info) {
  const std::int64_t block = number_attribute(api, info, "block", 0);
  blocked_kernels(block);
  return block;
}

std::int64_t padded(std::int64_t channels, std::int64_t block) { return (channels + block - 1) / block * block; }

// A layer's constants made ready, in the order of the lanes.
struct Layer {
  std::shared_ptr<const TailPlan> plan;
  BlockedTail tail;
  std::unique_ptr<const BlockedConvolution> convolution;

  Layer(std::shared_ptr<const TailPlan> plan_, std::int64_t block) : plan(std::move(plan_)), tail(*plan, block) {}
};

class BlockedExpandKernel {
 public:
  BlockedExpandKernel(const OrtApi& api, const OrtKernelInfo* info)
      : block_(block_of(api, info)),
        seed_channels_(number_attribute(api, info, "seed_channels", -1)),
        tail_(api, info, 1),
        kept_(are_constant(api, info, 1)) {}

  void compute(const Call& call) {
    const Tensor seed_maps = call.maps(0, "seed_maps");
    const auto& shape = seed_maps.shape;
    if (seed_channels_ < 0 || padded(seed_channels_, block_) != shape[1]) {
      throw std::invalid_argument("seed_maps has " + std::to_string(shape[1]) + " channels, seed_channels=" +
                                  std::to_string(seed_channels_) + " fill blocks of " + std::to_string(block_) +
                                  " to " + std::to_string(padded(std::max<std::int64_t>(seed_channels_, 0), block_)));
    }
    const auto layer = kept_.get(seed_channels_, [&] {
      return std::make_shared<const Layer>(tail_.plan(call, seed_channels_), block_);
    });
    float* out = call.output<float>({shape[0], padded(layer->plan->out_channels(), block_), shape[2], shape[3]});
    RuntimePool pool = call.pool();
    blocked_expand(pool, layer->tail, shape[0], shape[2] * shape[3], seed_maps.floats(), out);
  }

 private:
  std::int64_t block_;
  std::int64_t seed_channels_;  // the shape says no more than how many blocks there are
  TailOf tail_;
  Kept<Layer> kept_;
};

class BlockedSparseExpandKernel {
 public:
  BlockedSparseExpandKernel(const OrtApi& api, const OrtKernelInfo* info)
      : block_(block_of(api, info)), windows_(api, info), tail_(api, info, 3), kept_(are_constant(api, info, 1)) {}

  void compute(const Call& call) {
    const Tensor x = call.maps(0, "x");
    const Tensor weight = call.maps(1, "weight");
    const auto& in = x.shape;
    const auto& kernel = weight.shape;
    const std::int64_t reads = padded(kernel[0] * kernel[1], block_);
    if (in[1] != reads) {
      throw std::invalid_argument("x has " + std::to_string(in[1]) + " channels, weight of shape " + text_of(kernel) +
                                  " reads " + std::to_string(reads) + " in blocks of " + std::to_string(block_));
    }
    const Tensor bias = call.values(2, "bias", kernel[0], true);
    const Window rows = windows_.rows(in[2], kernel[2]);
    const Window columns = windows_.columns(in[3], kernel[3]);
    const std::int64_t height = rows.out();
    const std::int64_t width = columns.out();
    const auto layer = kept_.get(kernel[0], [&] {
      auto made = std::make_shared<Layer>(tail_.plan(call, kernel[0]), block_);
      const SparseConvolution convolution{rows, columns, kernel[0], kernel[1], weight.floats(), bias.floats()};
      made->convolution = std::make_unique<const BlockedConvolution>(convolution, block_);
      return made;
    });
    float* out = call.output<float>({in[0], padded(layer->plan->out_channels(), block_), height, width});
    RuntimePool pool = call.pool();
    blocked_sparse_expand(pool, *layer->convolution, rows, columns, layer->tail, in[0], x.floats(), out);
  }

 private:
  std::int64_t block_;
  WindowAttributes windows_;
  TailOf tail_;
  Kept<Layer> kept_;
};

class BlockedGateKernel {
 public:
  BlockedGateKernel(const OrtApi& api, const OrtKernelInfo* info) : block_(block_of(api, info)) {}

  void compute(const Call& call) const {
    const Tensor x = call.maps(0, "x");
    const Tensor gate = call.maps(1, "gate");
    const auto& shape = x.shape;
    const std::vector<std::int64_t> wanted{shape[0], shape[1], 1, 1};
    if (shape[1] % block_ != 0 || gate.shape != wanted) {
      throw std::invalid_argument("x of shape " + text_of(shape) + ", gate of shape " + text_of(gate.shape) +
                                  ": expected (N, C, H, W) and (N, C, 1, 1), C a multiple of " +
                                  std::to_string(block_));
    }
    float* out = call.output<float>({shape[0], shape[1], shape[2], shape[3]});
    RuntimePool pool = call.pool();
    blocked_gate(pool, block_, shape[0] * shape[1] / block_, shape[2] * shape[3], x.floats(), gate.floats(), out);
  }

 private:
  std::int64_t block_;
};

}  // namespace

std::vector<const OrtCustomOp*> blocked_operators() {
  static const Operator<BlockedExpandKernel> expand({"BlockedExpand", with_tail({{kFloat}}), kFloat});
  static const Operator<BlockedSparseExpandKernel> sparse_expand(
      {"BlockedSparseExpand", with_tail({{kFloat}, {kFloat}, {kFloat, true}}), kFloat});
  static const Operator<BlockedGateKernel> gate({"BlockedGate", {{kFloat}, {kFloat}}, kFloat});
  return {&expand, &sparse_expand, &gate};
}

}  // namespace groupnl
