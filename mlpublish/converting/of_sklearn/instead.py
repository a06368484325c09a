"""What to use in place of an estimator that is not converted."""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.converting.source import class_name

OTHERWISE = "Use one of the estimators of mlpublish/docs/sources.md in its place."

_TEXTS = "Turn texts into numbers in the app, and convert the model that takes these numbers."
_PROCESS = "Use SVR or SVC with kernel='rbf'."
_CLUSTERS = "Use KMeans, which tells the cluster of new rows."
_OUTLIERS = "Use IsolationForest or OneClassSVM."
_PROJECTION = "Use PCA or TruncatedSVD."
_THRESHOLD = "Convert the classifier that it holds, and compare its probabilities with the threshold in the app."
_LABELS = "Fit one model per label."

_INSTEAD: Mapping[str, str] = {
    "CountVectorizer": _TEXTS,
    "TfidfVectorizer": _TEXTS,
    "HashingVectorizer": _TEXTS,
    "TfidfTransformer": _TEXTS,
    "DictVectorizer": "Fit the model on a DataFrame, with a OneHotEncoder for its columns of texts.",
    "FeatureHasher": "Fit the model on a DataFrame, with a OneHotEncoder for its columns of texts.",
    "LabelEncoder": "It is for targets; use an OrdinalEncoder for columns.",
    "LabelBinarizer": "It is for targets; use a OneHotEncoder for columns.",
    "MultiLabelBinarizer": "It is for targets; use a OneHotEncoder for columns.",
    "KNNImputer": "Use a SimpleImputer.",
    "IterativeImputer": "Use a SimpleImputer.",
    "GaussianProcessClassifier": _PROCESS,
    "GaussianProcessRegressor": _PROCESS,
    "KernelRidge": "Use SVR, which has the same kernels.",
    "RadiusNeighborsClassifier": "Use KNeighborsClassifier.",
    "RadiusNeighborsRegressor": "Use KNeighborsRegressor.",
    "MultiOutputClassifier": _LABELS,
    "ClassifierChain": _LABELS,
    "OutputCodeClassifier": "Use OneVsRestClassifier.",
    "LabelPropagation": "Use KNeighborsClassifier.",
    "LabelSpreading": "Use KNeighborsClassifier.",
    "SelfTrainingClassifier": "Convert the classifier that it holds.",
    "FixedThresholdClassifier": _THRESHOLD,
    "TunedThresholdClassifierCV": _THRESHOLD,
    "QuantileTransformer": "Use a PowerTransformer or a KBinsDiscretizer.",
    "SplineTransformer": "Use PolynomialFeatures or a KBinsDiscretizer.",
    "Nystroem": "Use RBFSampler, or SVC with the same kernel.",
    "LocalOutlierFactor": _OUTLIERS,
    "EllipticEnvelope": _OUTLIERS,
    **dict.fromkeys(("DBSCAN", "HDBSCAN", "OPTICS", "AgglomerativeClustering", "SpectralClustering"), _CLUSTERS),
    **dict.fromkeys(("AffinityPropagation", "MeanShift", "Birch", "FeatureAgglomeration"), _CLUSTERS),
    **dict.fromkeys(("CCA", "PLSCanonical", "PLSSVD"), "Use PLSRegression."),
    **dict.fromkeys(("DictionaryLearning", "MiniBatchDictionaryLearning", "BernoulliRBM", "MiniBatchNMF"), _PROJECTION),
    **dict.fromkeys(("GaussianMixture", "BayesianGaussianMixture"), _CLUSTERS),
    **dict.fromkeys(("KernelPCA", "NMF", "SparsePCA", "LatentDirichletAllocation"), _PROJECTION),
    **dict.fromkeys(("TSNE", "Isomap", "MDS", "LocallyLinearEmbedding", "SpectralEmbedding"), _PROJECTION),
}

_CUSTOM = "Use a FunctionTransformer with a NumPy function, or do its work before the model, in the app too."


def remedy_for(kind: type) -> str:
    """What to do about a class that has no reader."""
    if kind.__name__ in _INSTEAD:
        return _INSTEAD[kind.__name__]
    of_library = class_name(kind).partition(".")[0] in ("sklearn", "xgboost", "lightgbm")
    return _CUSTOM if hasattr(kind, "transform") and not of_library else OTHERWISE
