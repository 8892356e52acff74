//! The order of Prometheus text: by name, then by labels, so that two scrapes can be compared by eye and by `diff`.

/// Sorts families and their series. A histogram's buckets stay in their order.
pub(super) fn sorted(text: &str) -> String {
    let mut families: Vec<(&str, Vec<&str>, Vec<&str>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let name = comment.split(' ').nth(1).unwrap_or_default();
            match families.last_mut() {
                Some((last, head, series)) if *last == name && series.is_empty() => head.push(line),
                _ => families.push((name, vec![line], vec![])),
            }
        } else if let Some((.., series)) = families.last_mut() {
            series.push(line);
        } else {
            families.push(("", vec![], vec![line]));
        }
    }
    families.sort_by_key(|(name, ..)| *name);
    let mut sorted = String::with_capacity(text.len());
    for (_, head, mut series) in families {
        // Stable: a series' buckets, sum and count follow each other as they were written.
        series.sort_by_key(|line| labels_without_bounds(line));
        for line in head.into_iter().chain(series) {
            sorted.push_str(line);
            sorted.push('\n');
        }
        sorted.push('\n');
    }
    sorted
}

/// The labels of a line, without `le`.
fn labels_without_bounds(line: &str) -> String {
    let Some((_, rest)) = line.split_once('{') else { return String::new() };
    let labels = rest.rsplit_once('}').map_or(rest, |(labels, _)| labels);
    // `le` comes last, and no other label of ours holds this text.
    let labels = labels.rsplit_once("le=\"").map_or(labels, |(before, _)| before);
    labels.trim_end_matches(',').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_series_are_in_order_and_buckets_stay_together() {
        let text = "# HELP b_seconds B.\n# TYPE b_seconds histogram\n\
            b_seconds_bucket{route=\"/z\",le=\"2\"} 1\nb_seconds_bucket{route=\"/z\",le=\"10\"} 1\nb_seconds_bucket{route=\"/z\",le=\"+Inf\"} 1\n\
            b_seconds_sum{route=\"/z\"} 1\nb_seconds_count{route=\"/z\"} 1\n\
            b_seconds_bucket{route=\"/a\",le=\"2\"} 0\nb_seconds_sum{route=\"/a\"} 0\nb_seconds_count{route=\"/a\"} 0\n\n\
            # TYPE a_total counter\na_total{x=\"2\"} 1\na_total{x=\"1\"} 1\n\n";
        let expected = "# TYPE a_total counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 1\n\n\
            # HELP b_seconds B.\n# TYPE b_seconds histogram\n\
            b_seconds_bucket{route=\"/a\",le=\"2\"} 0\nb_seconds_sum{route=\"/a\"} 0\nb_seconds_count{route=\"/a\"} 0\n\
            b_seconds_bucket{route=\"/z\",le=\"2\"} 1\nb_seconds_bucket{route=\"/z\",le=\"10\"} 1\nb_seconds_bucket{route=\"/z\",le=\"+Inf\"} 1\n\
            b_seconds_sum{route=\"/z\"} 1\nb_seconds_count{route=\"/z\"} 1\n\n";
        assert_eq!(sorted(text), expected);
        assert_eq!(sorted(expected), expected);
        assert_eq!(sorted(""), "");
    }
}
