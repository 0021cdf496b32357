"""fastgd's estimators made known to skl2onnx, which goes by the exact class."""

from __future__ import annotations

from fastgd.errors import MissingExtraError
from fastgd.sklearn.estimators import MLPClassifier, MLPRegressor

__all__ = ["register_onnx"]

#: What skl2onnx lets one choose for scikit-learn's classifier.
OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
}


def register_onnx() -> None:
    """Let skl2onnx convert fastgd's MLPClassifier and MLPRegressor as it does scikit-learn's.

    Models that scikit-learn's own classes trained under `patch_sklearn` need no registration.

    Raises
    ------
    MissingExtraError
        skl2onnx is not installed.

    Examples
    --------
    >>> import skl2onnx                                                  # doctest: +SKIP
    >>> register_onnx()                                                  # doctest: +SKIP
    >>> model = MLPClassifier().fit(X, y)                                # doctest: +SKIP
    >>> skl2onnx.to_onnx(model, X[:1], options={"zipmap": False})        # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter
        from skl2onnx.common import shape_calculator as shapes
        from skl2onnx.operator_converters import multilayer_perceptron as converters
    except ImportError as error:
        raise MissingExtraError(f"register_onnx needs skl2onnx ({error})") from None

    update_registered_converter(
        MLPClassifier,
        "FastgdMLPClassifier",
        shapes.calculate_linear_classifier_output_shapes,
        converters.convert_sklearn_mlp_classifier,
        options=OPTIONS,
    )
    update_registered_converter(
        MLPRegressor,
        "FastgdMLPRegressor",
        shapes.calculate_linear_regressor_output_shapes,
        converters.convert_sklearn_mlp_regressor,
    )
