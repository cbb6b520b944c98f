// The operators `Expand` and `SparseExpand` of the domain `groupnl`, and the door by which ONNX Runtime gets all.
#include "blocked_operators.h"
#include "layers.h"
#include "operator_parts.h"
#include "quantized_operators.h"
#include "tail_inputs.h"

namespace groupnl {
namespace {

class ExpandKernel {
 public:
  ExpandKernel(const OrtApi& api, const OrtKernelInfo* info) : tail_(api, info, 1) {}

  void compute(const Call& call) {
    const Tensor seed_maps = call.maps(0, "seed_maps");
    const auto& shape = seed_maps.shape;
    const auto tail = tail_.plan(call, shape[1]);
    float* out = call.output<float>({shape[0], tail->out_channels(), shape[2], shape[3]});
    RuntimePool pool = call.pool();
    expand(pool, *tail, shape[0], shape[2] * shape[3], seed_maps.floats(), out);
  }

 private:
  TailOf tail_;
};

class SparseExpandKernel {
 public:
  SparseExpandKernel(const OrtApi& api, const OrtKernelInfo* info) : windows_(api, info), tail_(api, info, 3) {}

  void compute(const Call& call) {
    const Tensor x = call.maps(0, "x");
    const Tensor weight = call.maps(1, "weight");
    const auto& in = x.shape;
    const auto& kernel = weight.shape;
    if (in[1] != kernel[0] * kernel[1]) {
      throw std::invalid_argument("x has " + std::to_string(in[1]) + " channels, weight of shape " + text_of(kernel) +
                                  " reads " + std::to_string(kernel[0] * kernel[1]));
    }
    const Tensor bias = call.values(2, "bias", kernel[0], true);
    const SparseConvolution convolution{
        windows_.rows(in[2], kernel[2]), windows_.columns(in[3], kernel[3]), kernel[0], kernel[1],
        weight.floats(),                 bias.floats(),
    };
    const auto tail = tail_.plan(call, kernel[0]);
    float* out =
        call.output<float>({in[0], tail->out_channels(), convolution.rows.out(), convolution.columns.out()});
    RuntimePool pool = call.pool();
    sparse_expand(pool, convolution, *tail, in[0], x.floats(), out);
  }

 private:
  WindowAttributes windows_;
  TailOf tail_;
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
  using namespace groupnl;
  const OrtApi* api = base->GetApi(kApiVersion);
  if (api == nullptr) return nullptr;  // an older runtime: it will say itself that it does not know the operators
  static const Operator<ExpandKernel> expand_operator({"Expand", with_tail({{kFloat}}), kFloat});
  static const Operator<SparseExpandKernel> sparse_expand_operator(
      {"SparseExpand", with_tail({{kFloat}, {kFloat}, {kFloat, true}}), kFloat});
  static OrtCustomOpDomain* domain = nullptr;
  static std::mutex mutex;
  return guarded(*api, "RegisterCustomOps", [&] {
    const std::lock_guard<std::mutex> lock(mutex);
    if (domain == nullptr) {
      OrtCustomOpDomain* made = nullptr;
      check(*api, api->CreateCustomOpDomain("groupnl", &made));
      check(*api, api->CustomOpDomain_Add(made, &expand_operator));
      check(*api, api->CustomOpDomain_Add(made, &sparse_expand_operator));
      for (const OrtCustomOp* op : blocked_operators()) check(*api, api->CustomOpDomain_Add(made, op));
      for (const OrtCustomOp* op : quantized_operators()) check(*api, api->CustomOpDomain_Add(made, op));
      domain = made;
    }
    check(*api, api->AddCustomOpDomain(options, domain));
  });
}
