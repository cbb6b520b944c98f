// The operators on maps in blocks of channels, domain `groupnl`: `BlockedExpand`, `BlockedSparseExpand`, `BlockedGate`.
#pragma once

#include <vector>

#include "onnxruntime_c_api.h"

namespace groupnl {

// They live as long as the process.
std::vector<const OrtCustomOp*> blocked_operators();

}  // namespace groupnl
