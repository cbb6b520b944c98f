// Fuzzes the layers without ONNX Runtime, for the sanitizers: every array is a heap block of exactly its size, every
// result is compared with the formula in double, the work is spread over real threads.
#include <limits>

#include "driver_parts.h"
#include "layers.h"
#include "quantized_kernels.h"

namespace {

using groupnl::Normalize;

void one_round(int round) {
  const bool sparse = round % 2 == 0;
  const int64_t batch = integer(0, 2), seeds = integer(1, 20), generated = integer(0, 40), inputs = integer(1, 3);
  const auto window = [] {
    return groupnl::Window{integer(0, 40), integer(1, 7), integer(1, 3), integer(1, 2), integer(0, 4), integer(0, 4)};
  };
  groupnl::SparseConvolution convolution{window(), window(), seeds, inputs, nullptr, nullptr};
  const int64_t taps = inputs * convolution.rows.kernel * convolution.columns.kernel;
  const auto weight = numbers(seeds * taps, 0.5);
  const auto bias = numbers(seeds, 1.0);
  convolution.weight = weight.get();
  convolution.bias = integer(0, 1) ? bias.get() : nullptr;
  int64_t height = convolution.rows.in, width = convolution.columns.in;
  if (sparse) {
    try {
      height = convolution.rows.out();
      width = convolution.columns.out();
    } catch (const std::exception&) {
      return;  // the kernel does not fit: what the operator refuses
    }
  }
  const int64_t pixels = height * width;
  const int64_t in_count = sparse ? batch * seeds * inputs * convolution.rows.in * convolution.columns.in
                                  : batch * seeds * pixels;
  const auto x = numbers(in_count, 1.0);
  const bool wild = integer(0, 3) == 0;
  if (wild && in_count > 0) {
    const float values[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38F,
                            -1e20F, 1e-40F};
    for (const float value : values) x[static_cast<std::size_t>(integer(0, in_count - 1))] = value;
  }
  const auto period = numbers(generated, wild ? 1e8 : 1.5);
  const auto shift = numbers(generated, wild ? 1e30 : 3.0);
  const auto scale = numbers(seeds + generated, 1.0);
  const auto offset = numbers(seeds + generated, 1.0);
  std::unique_ptr<int64_t[]> source(new int64_t[static_cast<std::size_t>(generated)]);
  for (int64_t g = 0; g < generated; ++g) source[static_cast<std::size_t>(g)] = integer(0, seeds - 1);
  const auto activation = static_cast<Activation>(integer(0, 3));
  const auto normalize = static_cast<Normalize>(integer(0, 2));
  const groupnl::TailPlan plan(seeds, generated, period.get(), shift.get(), source.get(), scale.get(), offset.get(),
                               normalize, activation);
  const int64_t channels = plan.out_channels();
  std::unique_ptr<float[]> out(new float[static_cast<std::size_t>(batch * channels * pixels)]);
  Threads pool(static_cast<int>(integer(1, 4)));
  if (sparse) {
    groupnl::sparse_expand(pool, convolution, plan, batch, x.get(), out.get());
  } else {
    groupnl::expand(pool, plan, batch, pixels, x.get(), out.get());
  }
  if (wild) return;  // the sanitizers have seen it; the values are tested in Python

  const groupnl::Window &rows = convolution.rows, &columns = convolution.columns;
  std::vector<double> y(static_cast<std::size_t>(seeds));
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t p = 0; p < pixels; ++p) {
      double square = 0;
      for (int64_t s = 0; s < seeds; ++s) {
        double sum = sparse ? (convolution.bias ? convolution.bias[s] : 0.0) : x[(n * seeds + s) * pixels + p];
        for (int64_t t = 0; sparse && t < taps; ++t) {
          const int64_t input = t / (rows.kernel * columns.kernel);
          const int64_t row = t / columns.kernel % rows.kernel;
          const int64_t i = p / width * rows.stride + row * rows.dilation - rows.pad_before;
          const int64_t j = p % width * columns.stride + t % columns.kernel * columns.dilation - columns.pad_before;
          if (i < 0 || i >= rows.in || j < 0 || j >= columns.in) continue;
          sum += static_cast<double>(weight[s * taps + t]) *
                 x[((n * seeds + s) * inputs + input) * rows.in * columns.in + i * columns.in + j];
        }
        y[static_cast<std::size_t>(s)] = sum;
        square += sum * sum;
      }
      const double gain = normalize == Normalize::rms ? std::sqrt(static_cast<double>(seeds)) : 1.0;
      const double factor = normalize == Normalize::none ? 1.0 : gain / std::max(std::sqrt(square), 1e-12);
      // what rounding errors of the seed maps grow to where they nearly cancel
      const double slack = 1e-5 + 1e-5 * factor;
      for (int64_t c = 0; c < channels; ++c) {
        const auto seed = static_cast<std::size_t>(c < seeds ? c : source[static_cast<std::size_t>(c - seeds)]);
        double value = y[seed] * factor;
        double slope = 1;
        if (c >= seeds) {
          slope += std::fabs(period[c - seeds]);
          value = std::sin(period[c - seeds] * (value - shift[c - seeds]));
        }
        const double wanted = act(activation, value * scale[c] + offset[c]);
        const double error = std::fabs(out[(n * channels + c) * pixels + p] - wanted);
        demand(error <= slack * slope * (1 + std::fabs(scale[c])) * (1 + std::fabs(wanted)), "another value", round);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 400;
  for (int round = 0; round < rounds; ++round) {
    one_round(round);
    blocked_round(round);
    blocked_gate_round(round);
    quantized_round(round);
  }
  std::printf("%d rounds with the %s and, in int8, %s kernels\n", rounds, groupnl::kernels().name,
              groupnl::quantized_kernels().name);
  return 0;
}
