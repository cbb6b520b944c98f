// The seed convolution of sparse GroupNL: every output map sums a few input maps of its own, like a depthwise one.
#pragma once

#include <cstdint>

#include "pool.h"

namespace groupnl {

struct Window {  // one axis
  std::int64_t in;          // pixels of the input
  std::int64_t kernel;
  std::int64_t stride;
  std::int64_t dilation;
  std::int64_t pad_before;  // of zeros
  std::int64_t pad_after;

  // Throws std::invalid_argument where a value is out of range or the kernel is larger than the padded input.
  std::int64_t out() const;
};

struct SparseConvolution {
  Window rows;
  Window columns;
  std::int64_t maps;        // of the output
  std::int64_t inputs;      // of each of them
  const float* weight;      // (maps, inputs, rows.kernel, columns.kernel)
  const float* bias;        // (maps), or null

  // Output rows begin to end - 1 of all maps, for one picture: x (maps * inputs, H, W) to y (maps, H', W').
  // `plane`: from one map of y to the next, at least H' * W'.
  void run(Pool& pool, const float* x, float* y, std::int64_t plane, std::int64_t begin, std::int64_t end) const;
};

}  // namespace groupnl
