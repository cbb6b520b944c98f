#include "quantized_operators.h"

#include "operator_parts.h"
#include "quantized_layers.h"

namespace groupnl {
namespace {

constexpr ONNXTensorElementDataType kFloat = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
constexpr ONNXTensorElementDataType kInt64 = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
constexpr ONNXTensorElementDataType kUint8 = ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
constexpr ONNXTensorElementDataType kInt8 = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8;

QuantizedNormalize normalize_of(const std::string& name) {
  if (name == "none") return QuantizedNormalize::none;
  if (name == "l2") return QuantizedNormalize::l2;
  if (name == "rms") return QuantizedNormalize::rms;
  if (name == "clamp") return QuantizedNormalize::clamp;
  throw std::invalid_argument("normalize=\"" + name + "\": expected none, l2, rms or clamp");
}

// The tail's attributes, and the seven inputs from `first` on.
class TailOf {
 public:
  TailOf(const OrtApi& api, const OrtKernelInfo* info, std::size_t first)
      : first_(first),
        normalize_(normalize_of(text_attribute(api, info, "normalize", "l2"))),
        activation_(activation_of(text_attribute(api, info, "activation", "none"))) {}

  QuantizedConstants constants(const Call& call, std::int64_t seed_channels) const {
    const Quantized out = quantized(call, first_, "y_scale", "y_zero_point");
    const Tensor period = call.input(first_ + 2);
    const std::int64_t generated = period.count;
    const std::int64_t channels = seed_channels + generated;
    return {
        seed_channels,
        generated,
        period.floats(),
        call.values(first_ + 3, "shift", generated).floats(),
        static_cast<const std::int64_t*>(call.values(first_ + 4, "source", generated, true).data),
        call.values(first_ + 5, "scale", channels, true).floats(),
        call.values(first_ + 6, "offset", channels, true).floats(),
        normalize_,
        activation_,
        out.scale,
        out.zero_point,
    };
  }

  static Quantized quantized(const Call& call, std::size_t first, const char* scale, const char* zero_point) {
    return {*call.values(first, scale, 1).floats(),
            *static_cast<const std::uint8_t*>(call.values(first + 1, zero_point, 1).data)};
  }

 private:
  std::size_t first_;
  QuantizedNormalize normalize_;
  Activation activation_;
};

class ExpandKernel {
 public:
  ExpandKernel(const OrtApi& api, const OrtKernelInfo* info) : tail_(api, info, 3), kept_(are_constant(api, info, 1)) {}

  void compute(const Call& call) {
    const Tensor seed_maps = call.maps(0, "seed_maps");
    const auto& shape = seed_maps.shape;
    const auto layer = kept_.get(shape[3], [&] {
      const Quantized in = TailOf::quantized(call, 1, "x_scale", "x_zero_point");
      return std::make_shared<const QuantizedExpand>(tail_.constants(call, shape[3]), in);
    });
    auto* out = call.output<std::uint8_t>({shape[0], shape[1], shape[2], layer->plan().out_channels()});
    RuntimePool pool = call.pool();
    layer->run(pool, shape[0] * shape[1] * shape[2], static_cast<const std::uint8_t*>(seed_maps.data), out);
  }

 private:
  TailOf tail_;
  Kept<QuantizedExpand> kept_;
};

class SparseExpandKernel {
 public:
  SparseExpandKernel(const OrtApi& api, const OrtKernelInfo* info)
      : windows_(api, info), tail_(api, info, 6), kept_(are_constant(api, info, 1)) {}

  void compute(const Call& call) {
    const Tensor x = call.maps(0, "x");
    const Tensor weight = call.maps(3, "weight");
    const auto& in = x.shape;
    const auto& kernel = weight.shape;
    if (in[3] != kernel[0] * kernel[1]) {
      throw std::invalid_argument("x has " + std::to_string(in[3]) + " channels, weight of shape " + text_of(kernel) +
                                  " reads " + std::to_string(kernel[0] * kernel[1]));
    }
    const Window rows = windows_.rows(in[1], kernel[2]);
    const Window columns = windows_.columns(in[2], kernel[3]);
    const auto layer = kept_.get(kernel[0], [&] { return make(call, weight); });
    auto* out = call.output<std::uint8_t>({in[0], rows.out(), columns.out(), layer->plan().out_channels()});
    RuntimePool pool = call.pool();
    layer->run(pool, in[0], rows, columns, static_cast<const std::uint8_t*>(x.data), out);
  }

 private:
  std::shared_ptr<const QuantizedSparseExpand> make(const Call& call, const Tensor& weight) const {
    const std::int64_t maps = weight.shape[0];
    const Tensor given = call.input(4);
    const bool one = given.count == 1;
    const Tensor scales = call.values(4, "weight_scale", one ? 1 : maps);
    const std::vector<float> scale_of_map = one ? std::vector<float>(static_cast<std::size_t>(maps), *scales.floats())
                                                : std::vector<float>(scales.floats(), scales.floats() + maps);
    const Tensor bias = call.values(5, "bias", maps, true);
    const QuantizedWeights weights{maps,
                                   weight.shape[1],
                                   weight.shape[2],
                                   weight.shape[3],
                                   static_cast<const std::int8_t*>(weight.data),
                                   scale_of_map.data(),
                                   bias.floats()};
    const Quantized in = TailOf::quantized(call, 1, "x_scale", "x_zero_point");
    return std::make_shared<const QuantizedSparseExpand>(tail_.constants(call, maps), weights, in);
  }

  WindowAttributes windows_;
  TailOf tail_;
  Kept<QuantizedSparseExpand> kept_;
};

std::vector<Input> with_tail(std::vector<Input> leading) {
  for (const Input& input :
       {Input{kFloat}, {kUint8}, {kFloat}, {kFloat}, {kInt64, true}, {kFloat, true}, {kFloat, true}}) {
    leading.push_back(input);
  }
  return leading;
}

}  // namespace

std::vector<const OrtCustomOp*> quantized_operators() {
  static const Operator<ExpandKernel> expand({"QuantizedExpand", with_tail({{kUint8}, {kFloat}, {kUint8}}), kUint8});
  static const Operator<SparseExpandKernel> sparse_expand(
      {"QuantizedSparseExpand", with_tail({{kUint8}, {kFloat}, {kUint8}, {kInt8}, {kFloat}, {kFloat, true}}), kUint8});
  return {&expand, &sparse_expand};
}

}  // namespace groupnl
