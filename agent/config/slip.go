package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxShop is the most characters of a shop's name on paper.
const maxShop = 64

func (t *tree) slip(n *node) *Slip {
	s := &Slip{Paper: 80}
	f := t.fields(n, "slip", "printer", "paper", "shop", "link", "listen")
	if p, at, ok := t.required(n, f, "slip", "printer", "write IP:port of the receipt printer, for example 192.168.1.50:9100"); ok {
		s.Printer = t.text(p, at)
		if a, err := netip.ParseAddrPort(s.Printer); err != nil || a.Port() == 0 || !a.Addr().IsPrivate() && !a.Addr().IsLoopback() && !a.Addr().IsLinkLocalUnicast() {
			t.refuse(p, at, quote(s.Printer)+" is no IP:port in the shop's own network; write for example 192.168.1.50:9100, the port too")
		}
	}
	if p, ok := f["paper"]; ok {
		switch t.text(p, "slip.paper") {
		case "80":
		case "58":
			s.Paper = 58
		default:
			t.refuse(p, "slip.paper", quote(p.text)+" is no width; write 80 or 58, in millimetres")
		}
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
