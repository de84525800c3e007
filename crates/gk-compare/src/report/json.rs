//! The comparison as JSON: medians with their range, distributions, remarks. Durations are seconds unless the name says
//! milliseconds.

use crate::table::Comparison;
use crate::table::columns::{COLUMNS, PARTS};
use crate::table::row::Row;
use gk_telemetry::histogram::edges;
use serde_json::{Map, Value, json};

/// The whole comparison.
pub fn value(comparison: &Comparison) -> Value {
    let tables: Vec<Value> = comparison
        .tables
        .iter()
        .map(|table| {
            json!({
                "form": table.form,
                "note": table.note,
                "rows": table.rows.iter().map(row).collect::<Vec<_>>(),
                "remarks": table.remarks,
            })
        })
        .collect();
    json!({
        "title": comparison.title,
        "machine": comparison.machine,
        "conditions": comparison.conditions,
        "at": comparison.at,
        "tables": tables,
        "problems": comparison.problems,
    })
}

fn row(row: &Row) -> Value {
    let mut columns = Map::new();
    for (column, middle) in COLUMNS.iter().zip(&row.values) {
        let value =
            middle.map(|m| json!({"median": m.median, "least": m.least, "most": m.most, "rounds": m.rounds}));
        columns.insert(column.id.into(), value.into());
    }
    let waits: Vec<(f64, Option<f64>, u64)> = row
        .waits
        .filled()
        .map(|(bucket, count)| {
            let (low, high) = edges(bucket);
            (low as f64 / 1e9, (high != u64::MAX).then_some(high as f64 / 1e9), count)
        })
        .collect();
    json!({
        "variant": row.variant,
        "figures": columns,
        "errors": row.errors,
        "failures": row.failures,
        "split": row.split.map(|split| {
            PARTS.iter().zip(split).map(|(part, s)| (part.id.to_owned(), s.into())).collect::<Map<_, _>>()
        }),
        "workers_cpu": row.workers,
        "gil_mode": row.gil_mode,
        "gil_wait_exact": row.exact,
        "gil_returned": row.gil_module,
        "switch_interval": row.switch_interval,
        "single_wait_buckets": waits,
        "latency_buckets": row.latency.iter().map(|(ns, n)| (*ns as f64 / 1e9, *n)).collect::<Vec<_>>(),
        "generator_busy": row.generator_busy,
        "cores_busy": row.cores_busy,
        "run_delay": row.run_delay,
    })
}
