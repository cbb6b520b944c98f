import numpy as np
import pytest
import torch
from torch import Tensor, nn

from groupnl.data import ImageSet
from groupnl.evaluation import evaluate, logits, predictions
from groupnl_device.preprocessing import Preprocessing


def test_predictions_and_logits_worked_by_hand(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    found = predictions(net, flat, preprocessing=plain)
    assert found.dtype == torch.int64
    assert found.tolist() == [0, 0, 1, 1, 2, 2]
    answers = logits(net, flat, preprocessing=plain, batch_size=4)
    assert answers.dtype == torch.float32
    assert answers.tolist() == torch.eye(3)[[0, 0, 1, 1, 2, 2]].tolist()


@pytest.mark.parametrize("batch_size", [1, 4, 5, 6, 100])
def test_batches_cover_every_image_once(net, flat: ImageSet, plain: Preprocessing, batch_size: int) -> None:
    assert predictions(net, flat, preprocessing=plain, batch_size=batch_size).tolist() == [0, 0, 1, 1, 2, 2]
    assert [len(images) for images in net.seen] == [len(part) for part in torch.arange(6).split(batch_size)]


def test_the_net_sees_the_bits_of_the_preprocessing() -> None:
    generator = torch.Generator().manual_seed(2)
    data = ImageSet(
        name="noise",
        split="test",
        images=torch.randint(0, 256, (7, 3, 5, 9), dtype=torch.uint8, generator=generator),
        labels=torch.zeros(7, dtype=torch.int64),
        class_names=("one", "two"),
        horizontal_flip=False,
    )
    preprocessing = Preprocessing(input_size=(3, 5, 9), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    seen: list[Tensor] = []

    def spy(images: Tensor) -> Tensor:
        seen.append(images)
        return torch.zeros(len(images), 2)

    predictions(spy, data, preprocessing=preprocessing, batch_size=3)
    images = torch.cat(seen)
    assert images.dtype == torch.float32
    assert np.array_equal(images.numpy(), preprocessing.normalize(data.images.numpy()))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_weights_say_the_dtype(net, flat: ImageSet, plain: Preprocessing, dtype: torch.dtype) -> None:
    assert predictions(net.to(dtype), flat, preprocessing=plain).tolist() == [0, 0, 1, 1, 2, 2]
    assert net.seen[0].dtype == dtype
    assert logits(net, flat, preprocessing=plain).dtype == torch.float32


def test_training_flags_come_back_one_by_one(net, flat: ImageSet, plain: Preprocessing) -> None:
    outer = nn.Sequential(net, nn.BatchNorm1d(3), nn.Identity())
    outer.train()
    outer[1].eval()  # frozen statistics inside a net in training
    before = {name: tensor.clone() for name, tensor in outer.state_dict().items()}
    predictions(outer, flat, preprocessing=plain)
    assert [module.training for module in outer.modules()] == [True, True, True, False, True]
    assert torch.is_grad_enabled()
    after = outer.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_training_flags_come_back_after_an_error(net, flat: ImageSet, plain: Preprocessing) -> None:
    net.train()
    net.dropout.eval()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(net, flat, preprocessing=plain, progress=interrupt)
    assert net.training
    assert not net.dropout.training
    assert torch.is_grad_enabled()


def test_a_net_can_be_trained_after_it_cached_a_tensor_while_measured(flat: ImageSet, plain: Preprocessing) -> None:
    class Caching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))
            self.scale: Tensor | None = None

        def forward(self, images: Tensor) -> Tensor:
            if self.scale is None:
                self.scale = torch.full((3,), 2.0)
            return images.mean((2, 3)) * self.weight * self.scale

    net = Caching()
    predictions(net, flat, preprocessing=plain)
    net(torch.rand(2, 3, 6, 8)).sum().backward()
    assert net.weight.grad is not None


def test_a_module_without_weights_and_a_function_take_float32(flat: ImageSet, plain: Preprocessing) -> None:
    means = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    answers = logits(means, flat, preprocessing=plain)
    torch.testing.assert_close(answers[:, 0] * 255, torch.tensor([10.0, 40, 100, 150, 200, 250]))
    assert torch.equal(logits(lambda images: images.mean((2, 3)), flat, preprocessing=plain), answers)


def broken(images: Tensor) -> Tensor:
    answers = torch.zeros(len(images), 3)
    answers[1, 2] = float("nan")
    return answers


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda images: torch.zeros(len(images), 5), r"shape \(4, 5\).*shape \(4, 3\), since flat has 3 classes"),
        (lambda images: torch.zeros(len(images)), r"shape \(4,\)"),
        (lambda images: torch.zeros(len(images), 3, 1, 1), r"shape \(4, 3, 1, 1\)"),
        (lambda images: torch.zeros(len(images) + 1, 3), r"shape \(5, 3\)"),
        (
            lambda images: torch.zeros(len(images), 3, dtype=torch.int64),
            "torch.int64 .* expected floating-point logits",
        ),
        (lambda images: (torch.zeros(len(images), 3),), "returned a tuple: expected a tensor of logits"),
        (broken, r"NaN for 1 of the images 0 to 3 of flat \(first: 1\)"),
        ("resnet8", "model is a str: expected an nn.Module or a callable"),
    ],
)
def test_answers_that_are_no_logits_are_refused(model, message: str, flat: ImageSet, plain: Preprocessing) -> None:
    with pytest.raises(ValueError, match=message):
        predictions(model, flat, preprocessing=plain, batch_size=4)
    with pytest.raises(ValueError, match=message):
        evaluate(model, flat, preprocessing=plain, batch_size=4)


def test_infinite_logits_are_answers(flat: ImageSet, plain: Preprocessing) -> None:
    masked = torch.tensor([float("-inf"), 0.0, float("inf")])
    assert predictions(lambda x: masked.expand(len(x), 3), flat, preprocessing=plain).tolist() == [2] * 6


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True])
def test_batch_size_is_checked(net, flat: ImageSet, plain: Preprocessing, batch_size: int) -> None:
    with pytest.raises(ValueError, match=r"batch_size=.*integer of at least 1"):
        predictions(net, flat, preprocessing=plain, batch_size=batch_size)


def test_images_of_another_size_are_refused(net, flat: ImageSet) -> None:
    other = Preprocessing(input_size=(3, 8, 8), mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"size \(3, 6, 8\).*says \(3, 8, 8\): load the data with image_size=8"):
        predictions(net, flat, preprocessing=other)


def test_a_module_is_not_moved_behind_its_owners_back(net, flat: ImageSet, plain: Preprocessing) -> None:
    with pytest.raises(ValueError, match=r"device='meta', but the net is on cpu: move it first, model.to\('meta'\)"):
        predictions(net, flat, preprocessing=plain, device="meta")
    assert predictions(net, flat, preprocessing=plain, device="cpu").tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_data_on_one_device_and_the_net_on_another(net, flat: ImageSet, plain: Preprocessing) -> None:
    on_cpu = evaluate(net, flat, preprocessing=plain)
    assert evaluate(net.cuda(), flat, preprocessing=plain, device="cuda") == on_cpu
    assert evaluate(net, flat.to("cuda"), preprocessing=plain) == on_cpu
    assert evaluate(net.cpu(), flat.to("cuda"), preprocessing=plain) == on_cpu
