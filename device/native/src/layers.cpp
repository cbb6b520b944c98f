#include "layers.h"

#include <algorithm>

namespace groupnl {
namespace {

constexpr std::int64_t kBandFloats = 131072;  // seed maps of a band, 512 KiB: normalised while they are in the L2 cache
constexpr std::int64_t kLeastRows = 8;        // of a band: its borders are copied twice

}  // namespace

void expand(Pool& pool, const TailPlan& tail, std::int64_t batch, std::int64_t pixels, const float* seed_maps,
            float* out) {
  for (std::int64_t n = 0; n < batch; ++n) {
    const float* in = seed_maps + n * tail.seed_channels() * pixels;
    tail.run(pool, in, pixels, out + n * tail.out_channels() * pixels, pixels, pixels);
  }
}

void sparse_expand(Pool& pool, const SparseConvolution& convolution, const TailPlan& tail, std::int64_t batch,
                   const float* x, float* out) {
  const std::int64_t height = convolution.rows.out();
  const std::int64_t width = convolution.columns.out();
  const std::int64_t pixels = height * width;
  const std::int64_t band = std::max(kLeastRows, kBandFloats / std::max<std::int64_t>(convolution.maps * width, 1));
  for (std::int64_t n = 0; n < batch; ++n) {
    const float* picture =
        x + n * convolution.maps * convolution.inputs * convolution.rows.in * convolution.columns.in;
    float* result = out + n * tail.out_channels() * pixels;
    for (std::int64_t begin = 0; begin < height; begin += band) {
      const std::int64_t end = std::min(begin + band, height);
      convolution.run(pool, picture, result, pixels, begin, end);
      float* rows = result + begin * width;  // the seed maps, replaced in place
      tail.run(pool, rows, pixels, rows, pixels, (end - begin) * width);
    }
  }
}

}  // namespace groupnl
