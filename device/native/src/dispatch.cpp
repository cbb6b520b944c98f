#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "blocked_kernels.h"
#include "kernels.h"
#include "quantized_kernels.h"

namespace groupnl {

extern const Kernels kernels_baseline;
extern const QuantizedKernels quantized_kernels_baseline;
extern const BlockedKernels blocked8_baseline;
extern const BlockedKernels blocked16_baseline;
#ifdef GROUPNL_X86
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
extern const QuantizedKernels quantized_kernels_avx2;
extern const BlockedKernels blocked8_avx2;
extern const BlockedKernels blocked16_avx2;
extern const QuantizedKernels quantized_kernels_avx512;
extern const QuantizedKernels quantized_kernels_avx512vnni;
extern const BlockedKernels blocked8_avx512;
extern const BlockedKernels blocked16_avx512;
#endif

namespace {

struct Choice {
  const Kernels& kernels;
  const QuantizedKernels& quantized;
  const BlockedKernels& blocked8;
  const BlockedKernels& blocked16;
};

Choice choose() {
#ifdef GROUPNL_X86
  const char* wish = std::getenv("GROUPNL_NATIVE_ISA");
  const auto allowed = [wish](const char* name) { return wish == nullptr || std::strcmp(wish, name) == 0; };
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512vnni") && allowed("avx512vnni")) {
    return {kernels_avx512, quantized_kernels_avx512vnni, blocked8_avx512, blocked16_avx512};
  }
  if (avx512 && allowed("avx512")) return {kernels_avx512, quantized_kernels_avx512, blocked8_avx512, blocked16_avx512};
  if (avx2 && allowed("avx2")) return {kernels_avx2, quantized_kernels_avx2, blocked8_avx2, blocked16_avx2};
#endif
  return {kernels_baseline, quantized_kernels_baseline, blocked8_baseline, blocked16_baseline};
}

const Choice& choice() {
  static const Choice chosen = choose();
  return chosen;
}

}  // namespace

const Kernels& kernels() { return choice().kernels; }

const QuantizedKernels& quantized_kernels() { return choice().quantized; }

const BlockedKernels& blocked_kernels(std::int64_t block) {
  if (block == 8) return choice().blocked8;
  if (block == 16) return choice().blocked16;
  throw std::invalid_argument("block=" + std::to_string(block) + ": expected 8 or 16 channels");
}

}  // namespace groupnl
