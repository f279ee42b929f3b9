"""Words that people bring from RecBole and elsewhere, and where recsweep has the same."""

from __future__ import annotations

_SPLIT = "`split` in the data set file"
_MODEL = "`fixed` or `space` of the model file"

_OURS = {
    # The split and the filters
    "eval_args": f"{_SPLIT}, and `evaluation` in the sweep file",
    "split_ratio": "`split: {type: ratio, ratio: [0.8, 0.1, 0.1]}` in the data set file",
    "RS": "`split: {type: ratio, ratio: [0.8, 0.1, 0.1]}` in the data set file",
    "LS": "`split: {type: leave_one_out}` in the data set file",
    "TO": "`split: {order: time}` in the data set file",
    "RO": "`split: {order: random}` in the data set file",
    "val_interval": "`keep` in the data set file",
    "user_inter_num_interval": "`min_user_interactions` in the data set file",
    "item_inter_num_interval": "`min_item_interactions` in the data set file",
    "rm_dup_inter": "`remove_duplicates` in the data set file",
    "threshold": "`label_threshold` in the data set file",
    "seq_separator": "`sequence_separator` in the data set file",
    "benchmark_filename": "`split: {type: files, files: [train, valid, test]}` in the data set file",
    # Columns
    "load_col": "`columns` in the data set file",
    "unload_col": "`columns` in the data set file",
    "unused_col": "`columns` in the data set file",
    "USER_ID_FIELD": "`user_field` in the data set file",
    "ITEM_ID_FIELD": "`item_field` in the data set file",
    "TIME_FIELD": "`time_field` in the data set file",
    "RATING_FIELD": "`rating_field` in the data set file",
    "MAX_ITEM_LIST_LENGTH": "`max_sequence_length` in the data set file",
    "numerical_features": "`numerical_features` in the data set file",
    "normalize_field": "`normalize` in the data set file",
    "normalize_all": "`normalize` in the data set file",
    "data_path": "`path` in the data set file",
    "dataset": "`datasets` in the sweep file",
    # What every trial shares
    "model": "`models` in the sweep file",
    "epochs": "`training.epochs` in the sweep file",
    "stopping_step": "`training.stopping_step` in the sweep file",
    "eval_step": "`training.eval_step` in the sweep file",
    "eval_batch_size": "`training.eval_batch_size` in the sweep file",
    "train_batch_size": "`training.train_batch_size` in the sweep file",
    "enable_amp": "`training.precision: mixed` in the sweep file",
    "enable_scaler": "`training.precision: mixed` in the sweep file",
    "gpu_id": "`training.device` in the sweep file, and CUDA_VISIBLE_DEVICES",
    "use_gpu": "`training.device` in the sweep file",
    "metrics": "`evaluation.metrics` in the sweep file",
    "topk": "`evaluation.topk` in the sweep file",
    "valid_metric": "`evaluation.metric` in the sweep file",
    "seed": "`seed` in the sweep file",
    "checkpoint_dir": "`outputs` in the sweep file",
    "worker": "`workers` in the sweep file",
    # What a model has
    "learning_rate": _MODEL,
    "embedding_size": _MODEL,
    "hidden_size": _MODEL,
    "train_neg_sample_args": "`fixed` of the model file",
    "neg_sampling": "`train_neg_sample_args: {sample_num: 1}` in `fixed` of the model file",
    "training_neg_sample_num": "`train_neg_sample_args: {sample_num: 1}` in `fixed` of the model file",
}
_METRICS = {
    "hr": "Hit",
    "hitrate": "Hit",
    "hitratio": "Hit",
    "recip": "MRR",
    "prec": "Precision",
    "rec": "Recall",
    "coverage": "ItemCoverage",
    "gini": "GiniIndex",
    "popularity": "AveragePopularity",
}
_WRITTEN = {"ndcg": "NDCG", "mrr": "MRR", "map": "MAP"}


def ours(word: str) -> str | None:
    """Where recsweep has what RecBole calls so: "`keep` in the data set file"; None for any other word."""
    return _OURS.get(word)


def metric(word: str) -> str | None:
    """A fix for a metric that is known by another name; None for any other."""
    plain = word.lower().replace("_", "").replace("-", "")
    return f"RecBole's name of it is {_METRICS[plain]}" if plain in _METRICS else None


def written(metric: str) -> str:
    """A metric of RecBole's as people write it: `NDCG` of `ndcg`."""
    return _WRITTEN.get(metric, metric.capitalize())
