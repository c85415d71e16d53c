"""The whole task by pandas and scikit-learn: ``python pandas_sklearn.py DATA_FOLDER OUT_FOLDER``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

CATEGORIES = ["category", "region", "store", "product", "seller", "promo"]
NUMBERS = ["price", "quantity", "daystoevent", "seats", "weight"]
BINNED = ["price", "quantity"]
BINS = 50
TARGET = "totalsold"


def statistics(frame: pd.DataFrame) -> dict[str, str]:
    numeric = frame[[*NUMBERS, TARGET]]
    texts = frame[[*CATEGORIES, "note"]]
    return {
        "numeric": numeric.describe().to_json(),
        "missing": frame.isna().sum().to_json(),
        "distinct": texts.nunique().to_json(),
        "frequent": json.dumps({name: texts[name].value_counts().head(10).to_dict() for name in texts}, default=str),
        "correlation": numeric.corr()[TARGET].to_json(),
    }


def main(data: Path, out: Path) -> None:
    frame = pd.concat([pd.read_parquet(file) for file in sorted(data.glob("*.parquet"))], ignore_index=True)
    frame["price"] = frame["price"].astype("float64")
    (out / "statistics.json").write_text(json.dumps(statistics(frame)))

    features = ColumnTransformer(
        [
            ("categories", OneHotEncoder(handle_unknown="ignore"), CATEGORIES),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            (
                "bins",
                make_pipeline(
                    SimpleImputer(strategy="median"),
                    KBinsDiscretizer(BINS, strategy="quantile", quantile_method="averaged_inverted_cdf"),
                ),
                BINNED,
            ),
        ]
    )
    model = make_pipeline(features, Ridge())
    cut = len(frame) * 7 // 10
    train, held_out = frame.iloc[:cut], frame.iloc[cut:]
    model.fit(train, train[TARGET])
    rmse = float(np.sqrt(np.mean((model.predict(held_out) - held_out[TARGET]) ** 2)))

    result = pd.DataFrame({"tag": frame["saleid"], "trueLabel": frame[TARGET], "score": model.predict(frame)})
    result.to_csv(
        out / "predictions.csv.gz", index=False, float_format="%.6E", compression={"method": "gzip", "compresslevel": 1}
    )
    print(json.dumps({"rmse": rmse}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
