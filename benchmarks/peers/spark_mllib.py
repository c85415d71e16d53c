"""The whole task by Spark MLlib in ``local[2]``: ``python spark_mllib.py DATA_FOLDER OUT_FOLDER``; needs Java."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.ml import Pipeline
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.feature import Imputer, OneHotEncoder, QuantileDiscretizer, StringIndexer, VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

CATEGORIES = ["category", "region", "store", "product", "seller", "promo"]
NUMBERS = ["price", "quantity", "daystoevent", "seats", "weight"]
BINNED = ["price", "quantity"]
BINS = 50
TARGET = "totalsold"


def pipeline() -> Pipeline:
    filled, bins = [f"{name}_filled" for name in NUMBERS], [f"{name}_bin" for name in BINNED]
    codes, vectors = [f"{name}_code" for name in CATEGORIES], [f"{name}_vector" for name in [*CATEGORIES, *BINNED]]
    return Pipeline(
        stages=[
            Imputer(inputCols=NUMBERS, outputCols=filled),
            QuantileDiscretizer(
                inputCols=[f"{name}_filled" for name in BINNED], outputCols=bins, numBuckets=BINS, handleInvalid="keep"
            ),
            StringIndexer(inputCols=CATEGORIES, outputCols=codes, handleInvalid="keep"),
            OneHotEncoder(inputCols=[*codes, *bins], outputCols=vectors, handleInvalid="keep"),
            VectorAssembler(inputCols=[*vectors, *filled], outputCol="features"),
            LinearRegression(labelCol=TARGET, predictionCol="score"),
        ]
    )


def statistics(frame: DataFrame, out: Path) -> None:
    summary = frame.drop("day").summary().collect()
    distinct = frame.select([sql.approx_count_distinct(name) for name in [*CATEGORIES, "note"]]).collect()
    frequent = {
        name: frame.groupBy(name).count().orderBy(sql.desc("count")).limit(10).collect()
        for name in [*CATEGORIES, "note"]
    }
    correlation = frame.select([sql.corr(name, TARGET) for name in NUMBERS]).collect()
    document = {"summary": summary, "distinct": distinct, "frequent": frequent, "correlation": correlation}
    (out / "statistics.json").write_text(json.dumps(document, default=str))


def main(data: Path, out: Path) -> None:
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .config("spark.local.dir", str(out))
        .config("spark.sql.shuffle.partitions", "4")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    frame = session.read.parquet(str(data))
    for name in NUMBERS:
        frame = frame.withColumn(name, frame[name].cast("double"))
    frame = frame.withColumn("promo", frame["promo"].cast("string"))
    statistics(frame, out)
    cut = frame.count() * 7 // 10
    model = pipeline().fit(frame.filter(frame["saleid"] < cut))
    scored = model.transform(frame)
    evaluator = RegressionEvaluator(labelCol=TARGET, predictionCol="score", metricName="rmse")
    rmse = evaluator.evaluate(scored.filter(scored["saleid"] >= cut))
    result = scored.select(scored["saleid"].alias("tag"), scored[TARGET].alias("trueLabel"), "score")
    result.write.csv(str(out / "predictions"), header=True, compression="gzip")
    print(json.dumps({"rmse": rmse}))
    session.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
