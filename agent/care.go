package agent

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ekassa/agent/durable"
	"ekassa/agent/machine"
	"ekassa/agent/texts"
	"ekassa/cloud/wire"
)

// care is what is told to Prometheus of the machine itself.
var care = []struct {
	name, help string
	kind       prometheus.ValueType
	read       func(machine.State) (float64, bool)
}{
	{"machine_temperature_celsius", "Of the processor.", prometheus.GaugeValue, func(s machine.State) (float64, bool) { return told(s.Temperature) }},
	{"machine_under_voltage", "1 where the power supply was too weak since the start.", prometheus.GaugeValue, func(s machine.State) (float64, bool) { return yes(s.UnderVoltage) }},
	{"machine_clock_synced", "1 where the clock is set by the network.", prometheus.GaugeValue, func(s machine.State) (float64, bool) { return yes(s.ClockSynced) }},
	{"machine_card_used_percent", "Of the card's life, as the card says.", prometheus.GaugeValue, func(s machine.State) (float64, bool) { return told(s.CardUsed) }},
	{"machine_disk_errors", "Errors that the file systems have found, ever.", prometheus.GaugeValue, func(s machine.State) (float64, bool) { return told(s.DiskErrors) }},
	{"machine_disk_written_bytes_total", "What went to the disks since the machine started.", prometheus.CounterValue, func(s machine.State) (float64, bool) { return told(s.DiskWritten) }},
	{"written_bytes_total", "What the agent itself had written to the disk.", prometheus.CounterValue, func(s machine.State) (float64, bool) { return told(s.Written) }},
	{"machine_swap_bytes", "Swap on a disk, which wears it.", prometheus.GaugeValue, func(s machine.State) (float64, bool) { return told(s.Swap) }},
	{"machine_wifi_signal_dbm", "Of the weakest radio that is connected.", prometheus.GaugeValue, func(s machine.State) (float64, bool) { return told(s.WiFi) }},
}

func told[N int | int64 | float64](n *N) (float64, bool) {
	if n == nil {
		return 0, false
	}
	return float64(*n), true
}

func yes(b *bool) (float64, bool) {
	if b == nil || !*b {
		return 0, b != nil
	}
	return 1, true
}

// careCollector reads the machine when Prometheus asks. What the machine does not
// tell is left out.
type careCollector struct {
	from  machine.From
	descs []*prometheus.Desc
}

func newCareCollector(from machine.From) prometheus.Collector {
	c := careCollector{from: from}
	for _, m := range care {
		c.descs = append(c.descs, prometheus.NewDesc("ekassa_"+m.name, m.help, nil, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c careCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c careCollector) Collect(out chan<- prometheus.Metric) {
	s := c.from.Look()
	for n, m := range care {
		if v, ok := m.read(s); ok {
			out <- prometheus.MustNewConstMetric(c.descs[n], m.kind, v)
		}
	}
}

// perDay is what goes to the disks in a day, if it goes on as since the start; nil
// where nobody knows, or the machine has only just started.
func perDay(s machine.State, up time.Duration) *int64 {
	if s.DiskWritten == nil || up < time.Hour {
		return nil
	}
	n := int64(float64(*s.DiskWritten) / up.Hours() * 24)
	return &n
}

// tellMachine puts the machine into a health record.
func tellMachine(h *wire.Health, s machine.State, up time.Duration) {
	h.Temperature, h.UnderVoltage, h.ClockSynced = s.Temperature, s.UnderVoltage, s.ClockSynced
	h.CardUsed, h.DiskErrors, h.WrittenDay, h.Swap, h.WiFi = s.CardUsed, s.DiskErrors, perDay(s, up), s.Swap, s.WiFi
}

// What the doctor minds. The cloud's alerts and systemd/alerts.yaml say the same.
const (
	hot        = 80  // °C: from here on a Pi slows itself down
	cardWorn   = 80  // percent
	weakRadio  = -80 // dBm
	muchPerDay = 5e9 // bytes
	lowWater   = 200e6
)

// machineFindings are the doctor's: only of what the machine tells.
func machineFindings(s machine.State, up time.Duration, dataDir string, l *findings) {
	mind := func(bad bool, a ailment, h health, args texts.Args) {
		if bad {
			l.warn(a, args)
		} else {
			l.good(h, args)
		}
	}
	number := func(format string, n any) texts.Args { return texts.Args{"number": fmt.Sprintf(format, n)} }
	if s.ClockSynced != nil {
		mind(!*s.ClockSynced, clockAlone, clockNetwork, nil)
	}
	if s.UnderVoltage != nil {
		mind(*s.UnderVoltage, powerWeak, powerEnough, nil)
	}
	if s.Temperature != nil {
		mind(*s.Temperature >= hot, temperatureHot, temperatureFine, number("%.0f", *s.Temperature))
	}
	if free, _, err := durable.Room(dataDir); err == nil { // a folder that is not there is told of elsewhere
		mind(free < lowWater, diskFull, diskFree, texts.Args{"number": strconv.FormatInt(free/1e6, 10), "dir": dataDir})
	}
	if s.CardUsed != nil {
		mind(*s.CardUsed >= cardWorn, cardEnds, cardFine, number("%d", *s.CardUsed))
	}
	if s.DiskErrors != nil {
		mind(*s.DiskErrors > 0, filesBroken, filesFine, number("%d", *s.DiskErrors))
	}
	if day := perDay(s, up); day != nil {
		mind(*day >= muchPerDay, writtenMuch, writtenFine, number("%d", *day/1e6))
	}
	if s.Swap != nil {
		mind(*s.Swap > 0, swapUsed, swapNone, number("%d", *s.Swap>>20))
	}
	if s.WiFi != nil {
		mind(*s.WiFi <= weakRadio, wifiWeak, wifiFine, number("%d", *s.WiFi))
	}
}
