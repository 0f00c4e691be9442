package control

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"

	"ekassa/cloud/fleet"
	"ekassa/cloud/wire"
)

// AddWebhook has every new alert sent to an address, signed with the secret that
// is told here, once. An address is there once: whoever adds it again, as by loading
// a page again, would have each alert sent twice. Errors: *Invalid, fleet.ErrExists.
func (c *Control) AddWebhook(ctx context.Context, p Person, address string) (w fleet.Webhook, secret string, err error) {
	if err := p.needs(fleet.Admin); err != nil {
		return w, "", err
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(address) > 1000 {
		return w, "", invalid("url", wire.CodeValue, "https://…, http://…", "must be an http or https address without a user name")
	}
	all, err := c.store.Webhooks(ctx)
	if err != nil {
		return w, "", err
	}
	if slices.ContainsFunc(all, func(other fleet.Webhook) bool { return other.URL == address }) {
		return w, "", fleet.ErrExists
	}
	secret = fleet.NewToken("wh_")
	w = fleet.Webhook{URL: address, Secret: secret, CreatedAt: c.now()}
	if err := c.note(ctx, p, "webhook.add", u.Scheme+"://"+u.Host, ""); err != nil {
		return w, "", err
	}
	w.ID, err = c.store.AddWebhook(ctx, w)
	return w, secret, err
}

// Webhooks are all of them, for an admin.
func (c *Control) Webhooks(ctx context.Context, p Person) ([]fleet.Webhook, error) {
	if err := p.needs(fleet.Admin); err != nil {
		return nil, err
	}
	return c.store.Webhooks(ctx)
}

// DeleteWebhook ends one, with what is on its way to it.
func (c *Control) DeleteWebhook(ctx context.Context, p Person, id int64) error {
	if err := p.needs(fleet.Admin); err != nil {
		return err
	}
	if err := c.note(ctx, p, "webhook.delete", strconv.FormatInt(id, 10), ""); err != nil {
		return err
	}
	return c.store.DeleteWebhook(ctx, id)
}

// SignatureHeader of a delivery holds "sha256=" and the HMAC-SHA256, in
// hexadecimal, of the body under the webhook's secret.
const SignatureHeader = "Ekassa-Signature"

// Deliver sends alerts to webhooks until ctx ends. It belongs to the process that
// leads. inside allows addresses of this machine and of private networks.
func (c *Control) Deliver(ctx context.Context, every time.Duration, inside bool, report func(error)) {
	client := outward(inside)
	defer client.CloseIdleConnections()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := c.deliverOnce(ctx, client); err != nil && ctx.Err() == nil {
			report(fmt.Errorf("deliver alerts to webhooks: %w", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// outward is a client that reaches nothing inside: an address is judged as it is
// dialled, since a name may mean another one by then.
func outward(inside bool) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if ip := at.Addr().Unmap(); !inside && (!ip.IsGlobalUnicast() || ip.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(ip)) {
			return fmt.Errorf("%s is no public address; webhooks.inside in the configuration allows it", ip)
		}
		return nil
	}}
	return &http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 2, TLSHandshakeTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// again is how long a delivery that failed rests: twice as long each time, at
// most an hour; after the last one it is given up.
func again(attempts int) time.Duration {
	return min(time.Hour, 10*time.Second<<min(attempts, 10))
}

// attemptsMost is two days of trying.
const attemptsMost = 55

func (c *Control) deliverOnce(ctx context.Context, client *http.Client) error {
	due, err := c.store.Due(ctx, c.now(), 50)
	if err != nil || len(due) == 0 {
		return err
	}
	hooks, err := c.store.Webhooks(ctx)
	if err != nil {
		return err
	}
	byID := map[int64]fleet.Webhook{}
	for _, h := range hooks {
		byID[h.ID] = h
	}
	var errs []error
	for _, d := range due {
		h, known := byID[d.Webhook]
		failed := errors.New("the webhook is gone")
		if known {
			failed = send(ctx, client, h, d)
		}
		switch {
		case ctx.Err() != nil:
			return nil // it is sent again: whoever gets it twice knows it by its id
		case failed == nil, !known:
			errs = append(errs, c.store.Delivered(ctx, d.ID))
		case d.Attempts+1 >= attemptsMost:
			errs = append(errs, fmt.Errorf("alert given up after %d attempts: %w", attemptsMost, failed), c.store.Delivered(ctx, d.ID))
		default:
			errs = append(errs, c.store.Failed(ctx, d.ID, failed.Error(), c.now().Add(again(d.Attempts))))
		}
	}
	return errors.Join(errs...)
}

func send(ctx context.Context, client *http.Client, h fleet.Webhook, d fleet.Delivery) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(d.Body))
	if err != nil {
		return err
	}
	sum := hmac.New(sha256.New, []byte(h.Secret))
	sum.Write(d.Body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Ekassa-Delivery", strconv.FormatInt(d.ID, 10))
	req.Header.Set(SignatureHeader, "sha256="+hex.EncodeToString(sum.Sum(nil)))
	answer, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error // its text has the whole address, which may hold a key
		if errors.As(err, &wrapped) {
			return wrapped.Err
		}
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", answer.Status)
	}
	return nil
}
