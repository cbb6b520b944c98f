// The operators on maps in blocks of channels: `BlockedExpand`, `BlockedSparseExpand`, `BlockedGate` of the domain `groupnl`.
#pragma once

#include <vector>

#include "onnxruntime_c_api.h"

namespace groupnl {

// They live as long as the process.
std::vector<const OrtCustomOp*> blocked_operators();

}  // namespace groupnl
