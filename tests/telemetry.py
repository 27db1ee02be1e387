"""OpenTelemetry's providers for tests, which keep spans and metrics in memory."""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from carecloud_async.otel import OpenTelemetry


class Telemetry:
    """Providers that keep everything in memory."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.reader])

    def make(self, **options):
        return OpenTelemetry(tracer_provider=self.tracer_provider, meter_provider=self.meter_provider, **options)

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def below(self, parent):
        return [span for span in self.spans if span.parent and span.parent.span_id == parent.context.span_id]

    def points(self, name):
        data = self.reader.get_metrics_data()
        scopes = (
            [scope for resource_metric in data.resource_metrics for scope in resource_metric.scope_metrics]
            if data
            else []
        )
        metrics = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        return [point for metric in metrics for point in metric.data.data_points]

    def count(self, name):
        return sum(getattr(point, "count", None) or point.value for point in self.points(name))
