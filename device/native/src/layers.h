// The two operators on plain arrays, without ONNX Runtime.
#pragma once

#include <cstdint>

#include "pool.h"
#include "sparse_convolution.h"
#include "tail_plan.h"

namespace groupnl {

// seed_maps (N, S, pixels) to out (N, S + G, pixels).
void expand(Pool& pool, const TailPlan& tail, std::int64_t batch, std::int64_t pixels, const float* seed_maps,
            float* out);

// x (N, S m, H, W) to out (N, S + G, H', W'); the convolution's sizes must be valid.
void sparse_expand(Pool& pool, const SparseConvolution& convolution, const TailPlan& tail, std::int64_t batch,
                   const float* x, float* out);

}  // namespace groupnl
