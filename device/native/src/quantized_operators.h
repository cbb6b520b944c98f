// The operators `QuantizedExpand` and `QuantizedSparseExpand` of the domain `groupnl`.
#pragma once

#include <vector>

#include "runtime_api.h"

namespace groupnl {

// They live as long as the process.
std::vector<const OrtCustomOp*> quantized_operators();

}  // namespace groupnl
