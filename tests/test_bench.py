"""The benchmark of the guidance still fits the code that it measures."""

from id2head_core import bench


def test_the_guidance_is_measured_by_parts(monkeypatch, capsys):
    reported = []

    def once(name, function):
        reported.append(name)
        function()
        return float(len(reported))

    monkeypatch.setattr(bench, "_report", once)
    bench.bench_guidance()
    assert "mesh of an expression" in reported and "network, 2 views with guidance" in reported
    assert reported[-2:] == ["step without backward", "step"]
    assert "backward" in capsys.readouterr().out
