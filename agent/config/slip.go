package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"ekassa/cloud/wire"
)

// maxShop is the most characters of a shop's name on paper.
const maxShop = 64

func (t *tree) slip(n *node) *Slip {
	s := &Slip{Paper: 80}
	f := t.fields(n, "slip", "printer", "printers", "paper", "shop", "link", "listen")
	if _, own := f["printers"]; !own || f["printer"] != nil {
		s.Printer = t.printer(n, f, "slip")
	}
	if p, ok := f["paper"]; ok {
		s.Paper = t.paper(p, "slip.paper")
	}
	if p, ok := f["printers"]; ok {
		s.Printers = t.printers(p, *s)
	}
	if p, ok := f["shop"]; ok {
		if s.Shop = t.text(p, "slip.shop"); utf8.RuneCountInString(s.Shop) > maxShop {
			t.refuse(p, "slip.shop", fmt.Sprintf("is too long; write at most %d characters", maxShop))
		}
	}
	if p, ok := f["link"]; ok {
		link, err := parseLink(t.text(p, "slip.link"))
		if err != nil {
			t.refuse(p, "slip.link", err.Error())
		}
		s.Link = link
	}
	if p, ok := f["listen"]; ok {
		s.Listen = t.listen(p, "slip.listen")
	}
	return s
}

// printer reads where one is.
func (t *tree) printer(n *node, f map[string]*node, path string) string {
	p, at, ok := t.required(n, f, path, "printer", "write IP:port of the receipt printer, for example 192.168.1.50:9100")
	if !ok {
		return ""
	}
	addr := t.text(p, at)
	if a, err := netip.ParseAddrPort(addr); err != nil || a.Port() == 0 || !a.Addr().IsPrivate() && !a.Addr().IsLoopback() && !a.Addr().IsLinkLocalUnicast() {
		t.refuse(p, at, quote(addr)+" is no IP:port in the shop's own network; write for example 192.168.1.50:9100, the port too")
	}
	return addr
}

func (t *tree) paper(n *node, path string) int {
	switch t.text(n, path) {
	case "58":
		return 58
	case "80":
	default:
		t.refuse(n, path, quote(n.text)+" is no width; write 80 or 58, in millimetres")
	}
	return 80
}

// printers reads those of single tills. A printer may serve more than one, and has
// one paper.
func (t *tree) printers(n *node, s Slip) (list []TillPrinter) {
	const path = "slip.printers"
	tills, papers := map[string]string{}, map[string]TillPrinter{s.Printer: {Printer: s.Printer, Paper: s.Paper}}
	for i, item := range t.list(n, path) {
		own := path + "[" + strconv.Itoa(i) + "]"
		f := t.fields(item, own, "terminal", "printer", "paper")
		p := TillPrinter{Paper: s.Paper}
		if id, at, ok := t.required(item, f, own, "terminal", "write the till's id"); ok {
			p.Terminal = t.text(id, at)
			switch first, twice := tills[p.Terminal]; {
			case !wire.ValidID(p.Terminal):
				t.refuse(id, at, quote(p.Terminal)+" is no terminal id; write 1 to 63 letters, digits and '-'")
			case twice:
				t.refuse(id, at, quote(p.Terminal)+" has a printer in "+first+" already; keep one of the two")
			default:
				tills[p.Terminal] = own
			}
		}
		p.Printer = t.printer(item, f, own)
		width, given := f["paper"]
		if given {
			p.Paper = t.paper(width, own+".paper")
		}
		switch same, known := papers[p.Printer]; {
		case p.Printer == "": // refused already
		case !known:
			papers[p.Printer] = p
		case !given:
			p.Paper = same.Paper
		case same.Paper != p.Paper:
			t.refuse(width, own+".paper", fmt.Sprintf("says %d, and the same printer has %d elsewhere; write what it has", p.Paper, same.Paper))
		}
		list = append(list, p)
	}
	if len(list) == 0 && s.Printer == "" {
		t.refuse(n, path, "names no printer; write one, or slip.printer for all tills")
	}
	return list
}

// parseLink takes scheme, host and port alone: the agent adds the path.
func parseLink(s string) (string, error) {
	const advice = "write for example http://ekassa.local or http://192.168.1.5:8787"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "":
		return "", fmt.Errorf("%s begins neither with http:// nor with https://; %s", quote(s), advice)
	case u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", fmt.Errorf("%s has more than a host and a port; %s", quote(s), advice)
	}
	host := strings.ToLower(u.Hostname())
	if _, err := netip.ParseAddr(host); err != nil && (len(host) > 253 || !hostForm.MatchString(host)) {
		return "", fmt.Errorf("%s names no host; %s", quote(s), advice)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}
