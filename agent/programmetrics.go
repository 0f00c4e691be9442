package agent

import (
	"github.com/prometheus/client_golang/prometheus"

	"ekassa/cloud/wire"
)

// versionCollector tells which version of the program runs, and what became of the
// last that was to.
type versionCollector struct {
	version  string
	programs *programs

	build, failed *prometheus.Desc
}

func versionMetrics(version string, p *programs) prometheus.Collector {
	return &versionCollector{
		version: version, programs: p,
		build:  prometheus.NewDesc("ekassa_build_info", "Always 1; the label is the program's version.", []string{"version"}, nil),
		failed: prometheus.NewDesc("ekassa_update_failed", "1 while the last update was taken back, or could not be begun.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *versionCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.build
	out <- c.failed
}

// Collect implements prometheus.Collector.
func (c *versionCollector) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(c.build, prometheus.GaugeValue, 1, c.version)
	is := 0.0
	if badly(c.programs.report()) {
		is = 1
	}
	out <- prometheus.MustNewConstMetric(c.failed, prometheus.GaugeValue, is)
}

func badly(r *wire.ProgramReport) bool {
	return r != nil && (r.State == wire.ProgramReverted || r.State == wire.ProgramFailed)
}
