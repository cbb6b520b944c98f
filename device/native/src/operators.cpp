// The operators `Expand` and `SparseExpand` of the domain `groupnl`, as ONNX Runtime's C API wants them.
#include <array>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "layers.h"
#include "runtime_api.h"

namespace groupnl {
namespace {

constexpr std::uint32_t kApiVersion = 17;  // the first with KernelContext_ParallelFor: ONNX Runtime 1.17

Normalize normalize_of(const std::string& name) {
  if (name == "none") return Normalize::none;
  if (name == "l2") return Normalize::l2;
  if (name == "rms") return Normalize::rms;
  throw std::invalid_argument("normalize=\"" + name + "\": expected none, l2 or rms");
}

Activation activation_of(const std::string& name) {
  if (name == "none") return Activation::none;
  if (name == "relu") return Activation::relu;
  if (name == "relu6") return Activation::relu6;
  if (name == "hardswish") return Activation::hardswish;
  throw std::invalid_argument("activation=\"" + name + "\": expected none, relu, relu6 or hardswish");
}

// --- the runtime's threads

class RuntimePool final : public Pool {
 public:
  RuntimePool(const OrtApi& api, const OrtKernelContext* context) : api_(api), context_(context) {}

  void run(Task task, void* data, std::size_t count) override {
    check(api_, api_.KernelContext_ParallelFor(context_, task, count, 0, data));
  }

 private:
  const OrtApi& api_;
  const OrtKernelContext* context_;
};

// --- the kernel

struct Names {
  const char* op;
  std::size_t leading;  // inputs before period, shift, source, scale, offset
};

constexpr Names kExpand{"Expand", 1};              // seed_maps
constexpr Names kSparseExpand{"SparseExpand", 3};  // x, weight, bias
constexpr std::size_t kTailInputs = 5;

class Kernel {
 public:
  Kernel(const Names& names, const OrtApi& api, const OrtKernelInfo* info)
      : names_(names),
        api_(api),
        normalize_(normalize_of(text_attribute(api, info, "normalize", "l2"))),
        activation_(activation_of(text_attribute(api, info, "activation", "none"))) {
    if (names.leading == kSparseExpand.leading) {
      strides_ = numbers_attribute(api, info, "strides", strides_);
      pads_ = numbers_attribute(api, info, "pads", pads_);
      dilations_ = numbers_attribute(api, info, "dilations", dilations_);
    }
    constant_ = true;
    std::size_t count = 0;
    check(api, api.KernelInfo_GetInputCount(info, &count));
    for (std::size_t i = names.leading; i < count; ++i) constant_ = constant_ && is_constant(info, i);
  }

  const char* name() const { return names_.op; }

  void compute(OrtKernelContext* context) {
    if (names_.leading == kExpand.leading) {
      compute_expand(context);
    } else {
      compute_sparse_expand(context);
    }
  }

 private:
  bool is_constant(const OrtKernelInfo* info, std::size_t index) const {
    std::size_t length = 0;
    check(api_, api_.KernelInfo_GetInputName(info, index, nullptr, &length));
    if (length <= 1) return true;  // no name, only its end: the input is left out
    int found = 0;
    const OrtValue* value = nullptr;
    check(api_, api_.KernelInfoGetConstantInput_tensor(info, index, &found, &value));
    return found != 0;
  }

  Tensor input(const OrtKernelContext* context, std::size_t index) const {
    std::size_t count = 0;
    check(api_, api_.KernelContext_GetInputCount(context, &count));
    if (index >= count) return {};
    const OrtValue* value = nullptr;
    check(api_, api_.KernelContext_GetInput(context, index, &value));
    return read(api_, value);
  }

  Tensor maps(const OrtKernelContext* context, std::size_t index, const char* what) const {
    Tensor tensor = input(context, index);
    if (tensor.shape.size() != 4) {
      throw std::invalid_argument(std::string(what) + " of shape " + text_of(tensor.shape) +
                                  ": expected four dimensions");
    }
    return tensor;
  }

  float* output(OrtKernelContext* context, const std::array<std::int64_t, 4>& shape) const {
    OrtValue* value = nullptr;
    check(api_, api_.KernelContext_GetOutput(context, 0, shape.data(), shape.size(), &value));
    void* data = nullptr;
    check(api_, api_.GetTensorMutableData(value, &data));
    return static_cast<float*>(data);
  }

  // Made once where the inputs are constants, as in every exported net.
  std::shared_ptr<const TailPlan> plan(const OrtKernelContext* context, std::int64_t seed_channels) {
    if (!constant_) return make_plan(context, seed_channels);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!plan_ || plan_->seed_channels() != seed_channels) plan_ = make_plan(context, seed_channels);
    return plan_;
  }

  std::shared_ptr<const TailPlan> make_plan(const OrtKernelContext* context, std::int64_t seed_channels) const {
    const Tensor period = input(context, names_.leading);
    const Tensor shift = input(context, names_.leading + 1);
    const Tensor source = input(context, names_.leading + 2);
    const Tensor scale = input(context, names_.leading + 3);
    const Tensor offset = input(context, names_.leading + 4);
    const std::int64_t generated = period.count;
    expect_count("shift", shift, generated);
    if (source.present) expect_count("source", source, generated);
    if (scale.present) expect_count("scale", scale, seed_channels + generated);
    if (offset.present) expect_count("offset", offset, seed_channels + generated);
    return std::make_shared<TailPlan>(seed_channels, generated, period.floats(), shift.floats(),
                                      static_cast<const std::int64_t*>(source.data), scale.floats(), offset.floats(),
                                      normalize_, activation_);
  }

  static void expect_count(const char* what, const Tensor& tensor, std::int64_t count) {
    if (tensor.count == count) return;
    throw std::invalid_argument(std::string(what) + " has " + std::to_string(tensor.count) + " values: expected " +
                                std::to_string(count));
  }

  void compute_expand(OrtKernelContext* context) {
    const Tensor maps_in = maps(context, 0, "seed_maps");
    const auto& shape = maps_in.shape;
    const auto tail = plan(context, shape[1]);
    float* out = output(context, {shape[0], tail->out_channels(), shape[2], shape[3]});
    RuntimePool pool(api_, context);
    expand(pool, *tail, shape[0], shape[2] * shape[3], maps_in.floats(), out);
  }

  void compute_sparse_expand(OrtKernelContext* context) {
    const Tensor x = maps(context, 0, "x");
    const Tensor weight = maps(context, 1, "weight");
    const Tensor bias = input(context, 2);
    const auto& in = x.shape;
    const auto& kernel = weight.shape;
    if (in[1] != kernel[0] * kernel[1]) {
      throw std::invalid_argument("x has " + std::to_string(in[1]) + " channels, weight of shape " + text_of(kernel) +
                                  " reads " + std::to_string(kernel[0] * kernel[1]));
    }
    if (bias.present) expect_count("bias", bias, kernel[0]);
    const SparseConvolution convolution{
        {in[2], kernel[2], strides_[0], dilations_[0], pads_[0], pads_[2]},
        {in[3], kernel[3], strides_[1], dilations_[1], pads_[1], pads_[3]},
        kernel[0],
        kernel[1],
        weight.floats(),
        bias.floats(),
    };
    const auto tail = plan(context, kernel[0]);
    float* out =
        output(context, {in[0], tail->out_channels(), convolution.rows.out(), convolution.columns.out()});
    RuntimePool pool(api_, context);
    sparse_expand(pool, convolution, *tail, in[0], x.floats(), out);
  }

  const Names& names_;
  const OrtApi& api_;
  Normalize normalize_;
  Activation activation_;
  std::vector<std::int64_t> strides_{1, 1};
  std::vector<std::int64_t> pads_{0, 0, 0, 0};  // top, left, bottom, right
  std::vector<std::int64_t> dilations_{1, 1};
  bool constant_;  // all that the plan is made of
  std::mutex mutex_;
  std::shared_ptr<const TailPlan> plan_;
};

// --- the table of functions that stands for an operator

struct Operator : OrtCustomOp {
  const Names& names;

  explicit Operator(const Names& names_) : OrtCustomOp{}, names(names_) {
    version = kApiVersion;
    GetName = [](const OrtCustomOp* op) { return self(op).names.op; };
    GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };
    GetInputTypeCount = [](const OrtCustomOp* op) { return self(op).names.leading + kTailInputs; };
    GetInputType = [](const OrtCustomOp* op, std::size_t index) {
      const bool source = index == self(op).names.leading + 2;
      return source ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    };
    GetInputCharacteristic = [](const OrtCustomOp* op, std::size_t index) {
      const std::size_t leading = self(op).names.leading;
      const bool bias = leading == kSparseExpand.leading && index == 2;
      return bias || index > leading + 1 ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
    };
    GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return OrtMemTypeDefault; };
    GetOutputTypeCount = [](const OrtCustomOp*) { return std::size_t{1}; };
    GetOutputType = [](const OrtCustomOp*, std::size_t) { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; };
    GetOutputCharacteristic = [](const OrtCustomOp*, std::size_t) { return INPUT_OUTPUT_REQUIRED; };
    GetVariadicInputMinArity = [](const OrtCustomOp*) { return 0; };
    GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 0; };
    GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 0; };
    GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 0; };
    CreateKernelV2 = [](const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** kernel) {
      const Names& which = self(op).names;
      return guarded(*api, which.op, [&] { *kernel = new KernelOf{*api, {which, *api, info}}; });
    };
    KernelComputeV2 = [](void* state, OrtKernelContext* context) {
      auto& held = *static_cast<KernelOf*>(state);
      return guarded(held.api, held.kernel.name(), [&] { held.kernel.compute(context); });
    };
    KernelDestroy = [](void* state) { delete static_cast<KernelOf*>(state); };
  }

 private:
  struct KernelOf {
    const OrtApi& api;
    Kernel kernel;
  };

  static const Operator& self(const OrtCustomOp* op) { return *static_cast<const Operator*>(op); }
};

}  // namespace
}  // namespace groupnl

#if defined(_WIN32)
#define GROUPNL_EXPORT __declspec(dllexport)
#else
#define GROUPNL_EXPORT __attribute__((visibility("default")))
#endif

// The name that ONNX Runtime looks for. The operators and their domain live as long as the process: sessions keep them.
extern "C" GROUPNL_EXPORT OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options,
                                                                    const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(groupnl::kApiVersion);
  if (api == nullptr) return nullptr;  // an older runtime: it will say itself that it does not know the operators
  static const groupnl::Operator expand(groupnl::kExpand);
  static const groupnl::Operator sparse_expand(groupnl::kSparseExpand);
  static OrtCustomOpDomain* domain = nullptr;
  static std::mutex mutex;
  return groupnl::guarded(*api, "RegisterCustomOps", [&] {
    const std::lock_guard<std::mutex> lock(mutex);
    if (domain == nullptr) {
      OrtCustomOpDomain* made = nullptr;
      groupnl::check(*api, api->CreateCustomOpDomain("groupnl", &made));
      groupnl::check(*api, api->CustomOpDomain_Add(made, &expand));
      groupnl::check(*api, api->CustomOpDomain_Add(made, &sparse_expand));
      domain = made;
    }
    groupnl::check(*api, api->AddCustomOpDomain(options, domain));
  });
}
