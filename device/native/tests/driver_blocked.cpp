// Rounds of the driver for maps in blocks of channels: any layer, beside the same layer in the plain layout.
#include "blocked_layers.h"
#include "driver_parts.h"
#include "layers.h"

#include <limits>

namespace {

std::size_t size(int64_t count) { return static_cast<std::size_t>(count); }

int64_t padded(int64_t channels, int64_t block) { return (channels + block - 1) / block * block; }

// (N, C, pixels) to (N, C / b, pixels, b), or back.
std::unique_ptr<float[]> moved(const float* from, int64_t batch, int64_t channels, int64_t pixels, int64_t block,
                               bool into) {
  const int64_t filled = padded(channels, block);
  const int64_t count = batch * (into ? filled : channels) * pixels;
  std::unique_ptr<float[]> to(new float[size(count)]);
  std::fill_n(to.get(), count, 0.0F);
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t p = 0; p < pixels; ++p) {
        const int64_t plain = (n * channels + c) * pixels + p;
        const int64_t blocked = ((n * filled / block + c / block) * pixels + p) * block + c % block;
        to[size(into ? blocked : plain)] = from[size(into ? plain : blocked)];
      }
    }
  }
  return to;
}

}  // namespace

void blocked_round(int round) {
  const bool sparse = round % 2 == 0;
  const int64_t block = integer(0, 1) ? 8 : 16;
  const int64_t batch = integer(0, 2), seeds = integer(1, 40), inputs = integer(1, 2);
  const bool in_order = integer(0, 1) == 1;
  const int64_t generated = in_order ? (integer(0, 1) ? seeds : integer(0, seeds)) : integer(0, 80);
  const bool usual = integer(0, 1) == 1;  // the windows that have loops of their own
  const auto window = [usual] {
    const int64_t kernel = usual ? 3 + 2 * integer(0, 1) : integer(1, 7);
    const int64_t stride = integer(1, usual ? 2 : 3);
    if (!usual) return groupnl::Window{integer(0, 40), kernel, stride, integer(1, 2), integer(0, 4), integer(0, 4)};
    const int64_t in = integer(0, 1) ? 7 * stride * integer(1, 4) : integer(1, 40);
    return groupnl::Window{in, kernel, stride, 1, kernel / 2, kernel / 2};
  };
  groupnl::SparseConvolution convolution{window(), window(), seeds, inputs, nullptr, nullptr};
  const auto weight = numbers(seeds * inputs * convolution.rows.kernel * convolution.columns.kernel, 0.5);
  const auto bias = numbers(seeds, 1.0);
  convolution.weight = weight.get();
  convolution.bias = integer(0, 1) ? bias.get() : nullptr;
  const int64_t in_pixels = convolution.rows.in * convolution.columns.in;
  int64_t pixels = in_pixels;
  if (sparse) {
    try {
      pixels = convolution.rows.out() * convolution.columns.out();
    } catch (const std::exception&) {
      return;  // the kernel does not fit: what the operator refuses
    }
  }
  const int64_t in_channels = sparse ? seeds * inputs : seeds;
  const auto x = numbers(batch * in_channels * in_pixels, 1.0);
  const bool wild = integer(0, 3) == 0;
  if (wild && batch * in_channels * in_pixels > 0) {
    const float values[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38F};
    for (const float value : values) x[size(integer(0, batch * in_channels * in_pixels - 1))] = value;
  }
  const auto period = numbers(generated, wild ? 1e8 : 1.5);
  const auto shift = numbers(generated, 3.0);
  const auto scale = numbers(seeds + generated, 1.0);
  const auto offset = numbers(seeds + generated, 1.0);
  std::unique_ptr<int64_t[]> source(new int64_t[size(generated)]);
  for (int64_t g = 0; g < generated; ++g) source[size(g)] = in_order ? g : integer(0, seeds - 1);
  const groupnl::TailPlan plan(seeds, generated, period.get(), shift.get(), source.get(), scale.get(), offset.get(),
                               static_cast<groupnl::Normalize>(integer(0, 2)), static_cast<Activation>(integer(0, 3)));
  const groupnl::BlockedTail tail(plan, block);
  const int64_t channels = plan.out_channels();
  const auto blocks = moved(x.get(), batch, in_channels, in_pixels, block, true);
  std::unique_ptr<float[]> out(new float[size(batch * padded(channels, block) * pixels)]);
  std::unique_ptr<float[]> wanted(new float[size(batch * channels * pixels)]);
  Threads pool(static_cast<int>(integer(1, 4)));
  if (sparse) {
    const groupnl::BlockedConvolution ready(convolution, block);
    groupnl::blocked_sparse_expand(pool, ready, convolution.rows, convolution.columns, tail, batch, blocks.get(),
                                   out.get());
    groupnl::sparse_expand(pool, convolution, plan, batch, x.get(), wanted.get());
  } else {
    groupnl::blocked_expand(pool, tail, batch, pixels, blocks.get(), out.get());
    groupnl::expand(pool, plan, batch, pixels, x.get(), wanted.get());
  }
  if (wild) return;  // the sanitizers have seen it; the values are tested in Python
  const auto found = moved(out.get(), batch, channels, pixels, block, false);
  for (int64_t i = 0; i < batch * channels * pixels; ++i) {
    const float error = std::fabs(found[size(i)] - wanted[size(i)]);
    // what rounding errors of seed maps that nearly cancel grow to
    demand(error <= 2e-3F * (1 + std::fabs(wanted[size(i)])), "another value in blocks of channels", round);
  }
}

void blocked_gate_round(int round) {
  const int64_t block = integer(0, 1) ? 8 : 16;
  const int64_t maps = integer(0, 9), pixels = integer(0, 90);
  const auto x = numbers(maps * pixels * block, 1.0);
  const auto gate = numbers(maps * block, 1.0);
  std::unique_ptr<float[]> out(new float[size(maps * pixels * block)]);
  Threads pool(static_cast<int>(integer(1, 4)));
  groupnl::blocked_gate(pool, block, maps, pixels, x.get(), gate.get(), out.get());
  for (int64_t i = 0; i < maps * pixels * block; ++i) {
    const float factor = gate[size(i / (pixels * block) * block + i % block)];
    demand(out[size(i)] == x[size(i)] * factor, "another product", round);
  }
}
