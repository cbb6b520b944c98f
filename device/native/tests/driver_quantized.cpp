// The int8 layers, in the same way: against the formula in double, which a byte may miss only where it is close.
#include <limits>

#include "driver_parts.h"
#include "quantized_layers.h"

namespace {

using groupnl::QuantizedNormalize;
using std::uint8_t;

template <class Integer>
std::unique_ptr<Integer[]> integers(int64_t count, int64_t least, int64_t most) {
  std::unique_ptr<Integer[]> made(new Integer[static_cast<std::size_t>(count)]);
  for (int64_t i = 0; i < count; ++i) made[static_cast<std::size_t>(i)] = static_cast<Integer>(integer(least, most));
  return made;
}

double byte_of(double steps, int zero_point) { return std::clamp(std::nearbyint(steps) + zero_point, 0.0, 255.0); }

}  // namespace

void quantized_round(int round) {
  const bool sparse = round % 2 == 0;
  const int64_t batch = integer(0, 2), seeds = integer(1, 40), generated = integer(0, 60), inputs = integer(1, 4);
  const auto window = [] {
    const int64_t kernel = integer(0, 1) ? 3 : integer(1, 5);
    return groupnl::Window{integer(0, 24), kernel, integer(1, 3), integer(1, 2), integer(0, 4), integer(0, 4)};
  };
  const groupnl::Window rows = window(), columns = window();
  int64_t height = rows.in, width = columns.in;
  if (sparse) {
    try {
      height = rows.out();
      width = columns.out();
    } catch (const std::exception&) {
      return;  // the kernel does not fit: what the operator refuses
    }
  }
  const int64_t taps = inputs * rows.kernel * columns.kernel, pixels = height * width;
  const int64_t pixel_in = sparse ? seeds * inputs : seeds;
  const auto x = integers<uint8_t>(batch * rows.in * columns.in * pixel_in, 0, 255);
  const auto weight = integers<std::int8_t>(seeds * taps, -128, 127);
  const auto bias = numbers(seeds, 1.0);
  auto weight_scale = numbers(seeds, 0.01);
  for (int64_t s = 0; s < seeds; ++s) weight_scale[s] = std::fabs(weight_scale[s]) + 1e-3F;
  const bool wild = integer(0, 3) == 0;
  const auto period = numbers(generated, wild ? 1e8 : 1.5);
  const auto shift = numbers(generated, wild ? 1e30 : 3.0);
  const auto scale = numbers(seeds + generated, wild ? 1e20 : 1.0);
  const auto offset = numbers(seeds + generated, wild ? 1e35 : 1.0);
  auto source = integers<int64_t>(generated, 0, seeds - 1);
  if (integer(0, 1)) {
    for (int64_t g = 0; g < generated; ++g) source[static_cast<std::size_t>(g)] = g % seeds;
  }
  const auto activation = static_cast<Activation>(integer(0, 3));
  const auto normalize = static_cast<QuantizedNormalize>(integer(0, 3));
  const groupnl::Quantized in{0.02F, static_cast<uint8_t>(integer(0, 255))};
  const auto zero_point = static_cast<uint8_t>(integer(0, 255));
  const groupnl::QuantizedConstants constants{seeds,       generated,    period.get(), shift.get(),
                                              source.get(), scale.get(), offset.get(), normalize,
                                              activation,  0.02F,        zero_point};
  const int64_t channels = seeds + generated;
  std::unique_ptr<uint8_t[]> out(new uint8_t[static_cast<std::size_t>(batch * pixels * channels)]);
  Threads pool(static_cast<int>(integer(1, 4)));
  if (sparse) {
    const groupnl::QuantizedSparseExpand layer(
        constants,
        {seeds, inputs, rows.kernel, columns.kernel, weight.get(), weight_scale.get(), bias.get()}, in);
    layer.run(pool, batch, rows, columns, x.get(), out.get());
  } else {
    groupnl::QuantizedExpand(constants, in).run(pool, batch * pixels, x.get(), out.get());
  }
  if (wild) return;  // the sanitizers have seen it; the values are tested in Python

  std::vector<double> y(static_cast<std::size_t>(seeds));
  for (int64_t p = 0; p < batch * pixels; ++p) {
    const int64_t n = p / pixels, row_out = p % pixels / width, column_out = p % width;
    double square = 0, terms = 0;
    for (int64_t s = 0; s < seeds; ++s) {
      int64_t sum = 0;
      for (int64_t t = 0; sparse && t < taps; ++t) {
        const int64_t i = row_out * rows.stride + t / columns.kernel % rows.kernel * rows.dilation - rows.pad_before;
        const int64_t j = column_out * columns.stride + t % columns.kernel * columns.dilation - columns.pad_before;
        if (i < 0 || i >= rows.in || j < 0 || j >= columns.in) continue;
        const int64_t input = s * inputs + t / (rows.kernel * columns.kernel);
        sum += weight[s * taps + t] * (x[((n * rows.in + i) * columns.in + j) * pixel_in + input] - in.zero_point);
      }
      double value = in.scale * static_cast<double>(sum) * weight_scale[s];
      terms = std::max(terms, std::fabs(value) + std::fabs(bias[s]));
      value += bias[s];
      if (!sparse) value = static_cast<double>(in.scale) * (x[p * seeds + s] - in.zero_point);
      if (normalize == QuantizedNormalize::clamp) value = std::clamp(value, -1.0, 1.0);
      y[static_cast<std::size_t>(s)] = value;
      square += value * value;
    }
    const bool whole = normalize == QuantizedNormalize::l2 || normalize == QuantizedNormalize::rms;
    const double gain = normalize == QuantizedNormalize::rms ? std::sqrt(static_cast<double>(seeds)) : 1.0;
    const double factor = whole ? gain / std::max(std::sqrt(square), 1e-12) : 1.0;
    const double slack = 1e-5 * (1 + terms * factor * (1 + (whole ? terms / std::max(std::sqrt(square), 1e-12) : 0)));
    for (int64_t c = 0; c < channels; ++c) {
      const auto seed = static_cast<std::size_t>(c < seeds ? c : source[static_cast<std::size_t>(c - seeds)]);
      double value = y[seed] * factor;
      const double slope = c < seeds ? 1 : 1 + std::fabs(period[c - seeds]);
      if (c >= seeds) value = std::sin(period[c - seeds] * (value - shift[c - seeds]));
      const double steps = act(activation, value * scale[c] + offset[c]) / 0.02F;
      const double around = slack * slope * (1 + std::fabs(scale[c])) * (1 + std::fabs(offset[c])) / 0.02F;
      const double found = out[static_cast<std::size_t>(p * channels + c)];
      demand(byte_of(steps - around, zero_point) <= found && found <= byte_of(steps + around, zero_point),
             "another byte", round);
    }
  }
}
