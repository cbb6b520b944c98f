#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace groupnl {

extern const Kernels kernels_baseline;
#ifdef GROUPNL_X86
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

namespace {

const Kernels& choose() {
#ifdef GROUPNL_X86
  const char* wish = std::getenv("GROUPNL_NATIVE_ISA");
  const auto allowed = [wish](const char* name) { return wish == nullptr || std::strcmp(wish, name) == 0; };
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (avx512 && allowed("avx512")) return kernels_avx512;
  if (avx2 && allowed("avx2")) return kernels_avx2;
#endif
  return kernels_baseline;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace groupnl
