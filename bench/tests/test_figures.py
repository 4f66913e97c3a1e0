from bench.figures import Figure, median_of, percentile, readable


def test_a_percentile_is_one_of_the_values():
    values = [float(each) for each in range(1, 101)]
    assert [percentile(values, percent) for percent in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([7.0], 50) == 7.0
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0


def test_a_median_keeps_the_runs_that_it_is_of():
    figure = median_of("per_s", "Flush", iter([1.0, 9.0, 2.0]), "changes/s", at_least=2)
    assert figure.value == 2.0
    assert figure.runs == (1.0, 9.0, 2.0)
    assert (figure.aim, figure.is_reached) == ("≥ 2", True)


def test_what_was_not_aimed_at_is_neither_reached_nor_missed():
    assert Figure("n", "N", 1.0, "").is_reached is None
    assert Figure("n", "N", 61.0, "KiB", at_most=60).is_reached is False


def test_numbers_show_three_digits_that_matter():
    assert [readable(each) for each in (12345.6, 60.0, 0.31234, 9.999)] == [
        "12,346",
        "60",
        "0.312",
        "10",
    ]
