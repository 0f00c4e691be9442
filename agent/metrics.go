package agent

import (
	"github.com/prometheus/client_golang/prometheus"

	"ekassa/agent/dispatch"
	"ekassa/agent/journal"
	"ekassa/agent/register"
	"ekassa/agent/slip"
	"ekassa/agent/uplink"
)

// collector tells Prometheus of the registers and their queues, read when it
// asks.
type collector struct {
	desk    *dispatch.Desk
	journal *journal.Journal

	ready, waiting, checking, held, refused, oldest, shift, ahead, epoch, record, free, short *prometheus.Desc
}

func newCollector(d *dispatch.Desk, j *journal.Journal) *collector {
	of := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ekassa_"+name, help, labels, nil)
	}
	return &collector{
		desk: d, journal: j,
		ready:    of("register_ready", "1 while the register answers and takes receipts.", "register"),
		waiting:  of("receipts_waiting", "Receipts that are not final and go on by themselves.", "register"),
		checking: of("receipts_checking", "Receipts whose outcome the register is being asked for.", "register"),
		held:     of("receipts_held", "Receipts that only a person can decide.", "register"),
		refused:  of("receipts_refused", "Receipts that the register refused.", "register"),
		oldest:   of("receipts_oldest_timestamp_seconds", "When the till was told yes of the oldest receipt that waits.", "register"),
		shift:    of("shift_opened_timestamp_seconds", "When the open shift was opened, by the register's clock.", "register"),
		ahead:    of("register_clock_ahead_seconds", "How far the register's clock was ahead of ours when it last told the time; below 0 behind.", "register"),
		epoch:    of("journal_epoch", "Rises with a new or restored journal."),
		record:   of("journal_records", "Number of the newest record."),
		free:     of("disk_free_bytes", "What the disk under the journal has left."),
		short:    of("disk_short", "1 while new receipts are refused for want of space; accepted ones are finished."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.ready, c.waiting, c.checking, c.held, c.refused, c.oldest, c.shift, c.ahead, c.epoch, c.record, c.free, c.short} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range c.desk.Registers("") {
		ready := 0.0
		if s.Link == register.LinkReady {
			ready = 1
		}
		gauge(c.ready, ready, s.ID)
		gauge(c.waiting, float64(s.Queue.Waiting), s.ID)
		gauge(c.checking, float64(s.Queue.Checking), s.ID)
		gauge(c.held, float64(s.Queue.Held), s.ID)
		gauge(c.refused, float64(s.Queue.Refused), s.ID)
		if !s.Queue.Oldest.IsZero() {
			gauge(c.oldest, float64(s.Queue.Oldest.Unix()), s.ID)
		}
		if s.Shift.Open && !s.Shift.OpenedAt.IsZero() {
			gauge(c.shift, float64(s.Shift.OpenedAt.Unix()), s.ID)
		}
		if !s.Clock.At.IsZero() {
			gauge(c.ahead, s.Clock.Ahead.Seconds(), s.ID)
		}
	}
	gauge(c.epoch, float64(c.journal.Epoch()))
	if n, err := c.journal.LastChange(); err == nil { // where it cannot be read, /healthz says so
		gauge(c.record, float64(n))
	}
	if n, short, err := c.journal.Room(); err == nil {
		is := 0.0
		if short {
			is = 1
		}
		gauge(c.free, float64(n))
		gauge(c.short, is)
	}
}

// cloudCollector tells of the connection to the cloud.
type cloudCollector struct {
	up      *uplink.Uplink
	journal *journal.Journal

	connected, records *prometheus.Desc
}

func connected(u *uplink.Uplink, j *journal.Journal) prometheus.Collector {
	return &cloudCollector{
		up: u, journal: j,
		connected: prometheus.NewDesc("ekassa_cloud_connected", "1 while there is a connection to the cloud.", nil, nil),
		records:   prometheus.NewDesc("ekassa_records_unacknowledged", "Records that the cloud has not stored yet.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *cloudCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.connected
	out <- c.records
}

// Collect implements prometheus.Collector.
func (c *cloudCollector) Collect(out chan<- prometheus.Metric) {
	is := 0.0
	if c.up.State().Connected {
		is = 1
	}
	out <- prometheus.MustNewConstMetric(c.connected, prometheus.GaugeValue, is)
	if n, err := c.journal.Unacknowledged(); err == nil {
		out <- prometheus.MustNewConstMetric(c.records, prometheus.GaugeValue, float64(n))
	}
}

// slipCollector tells of the guests' slips.
type slipCollector struct {
	counters []*slip.Counter

	ready, slips *prometheus.Desc
}

func newSlipCollector(counters []*slip.Counter) prometheus.Collector {
	return &slipCollector{
		counters: counters,
		ready:    prometheus.NewDesc("ekassa_slip_printer_ready", "1 unless the receipt printer failed when it was last used.", []string{"printer"}, nil),
		slips:    prometheus.NewDesc("ekassa_slips_total", "Slips for guests: printed, failed half-way, or missed since the printer was away.", []string{"printer", "outcome"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *slipCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.ready
	out <- c.slips
}

// Collect implements prometheus.Collector.
func (c *slipCollector) Collect(out chan<- prometheus.Metric) {
	for _, at := range c.counters {
		s := at.State()
		ready := 1.0
		if s.Problem != "" {
			ready = 0
		}
		out <- prometheus.MustNewConstMetric(c.ready, prometheus.GaugeValue, ready, at.Printer())
		for outcome, n := range map[string]int64{"printed": s.Printed, "failed": s.Failed, "missed": s.Missed} {
			out <- prometheus.MustNewConstMetric(c.slips, prometheus.CounterValue, float64(n), at.Printer(), outcome)
		}
	}
}
