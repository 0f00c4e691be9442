package simulator

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"rsc.io/qr"
)

// paperWidth is the characters of a line on 80 mm paper.
const paperWidth = 48

// Taxpayer is whose register this is, as it stands on top of every cheque
// (rules, section 7).
type Taxpayer struct {
	Company string // taxpayer
	VOEN    string // taxpayer's number
	Object  string // outlet
	Address string
	Code    string // outlet's code
	Model   string // of the register
	Factory string // number of the register's maker
	Token   string // registration number of the token
	QRURL   string // prefix of the cheque's address
}

// exampleTaxpayer is the owner of every simulated register of the given model.
func exampleTaxpayer(model string) Taxpayer {
	return Taxpayer{
		Company: `"NÜMUNƏ RESTORAN" MMC`,
		VOEN:    "1234567891",
		Object:  "Nümunə restoranı",
		Address: "Bakı ş., Səbail r., Nizami küç. 1",
		Code:    "1234567891-10001",
		Model:   model,
		Factory: "SIM000001",
		Token:   "test_000001",
		QRURL:   "https://monitoring.e-kassa.az/#/index?doc=",
	}
}

// url is where the buyer checks a cheque: the prefix and the printed short id.
func (x Taxpayer) url(d *Document) string { return x.QRURL + d.ShortID }

type sheet struct{ strings.Builder }

func (s *sheet) line(text string) { s.WriteString(strings.TrimRight(text, " ") + "\n") }
func (s *sheet) rule()            { s.line(strings.Repeat("-", paperWidth)) }
func (s *sheet) centre(txt string) {
	s.line(strings.Repeat(" ", max(0, paperWidth-width(txt))/2) + txt)
}
func (s *sheet) pair(left, right string) {
	s.line(left + strings.Repeat(" ", max(1, paperWidth-width(left)-width(right))) + right)
}

func width(s string) int { return utf8.RuneCountInString(s) }

func money(q int64) string {
	sign := ""
	if q < 0 {
		sign, q = "-", -q
	}
	return fmt.Sprintf("%s%d.%02d", sign, q/100, q%100)
}

// quantity is thousandths without needless zeros.
func quantity(q int64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%03d", q/1000, q%1000), "0"), ".")
}

func percent(rate int64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%02d", rate/100, rate%100), "0"), ".") + "%"
}

var titles = map[Kind]string{
	Sale:       "SATIŞ ÇEKİ",
	Refund:     "GERİ QAYTARMA ÇEKİ",
	Rollback:   "LƏĞVETMƏ ÇEKİ",
	Prepay:     "AVANS (BEH) ÖDƏNİŞİ ÇEKİ",
	CreditPay:  "KREDİT ÖDƏNİŞİ ÇEKİ",
	Correction: "KORREKSİYA ÇEKİ",
	Deposit:    "MƏDAXİL ÇEKİ",
	Withdraw:   "MƏXARİC ÇEKİ",
	Copy:       "ÇEKİN SURƏTİ",
	Interim:    "X-HESABAT",
}

func (s *sheet) head(x Taxpayer) {
	s.centre(x.Object)
	s.centre(x.Address)
	s.centre("Obyektin kodu: " + x.Code)
	s.centre("VERGİ ÖDƏYİCİSİ: " + x.Company)
	s.centre("VÖEN: " + x.VOEN)
	s.line("")
}

// cheque prints one document as a register would.
func cheque(x Taxpayer, t *token, d *Document, reprint bool) string {
	var s sheet
	s.head(x)
	s.centre(titles[d.Kind])
	if reprint {
		s.centre("*** SURƏT ***")
	}
	s.centre(fmt.Sprintf("Çek № %d", d.Number))
	if d.Client.Cashier != "" {
		s.line("Kassir: " + d.Client.Cashier)
	}
	if d.Client.Till != "" {
		s.line("Kassa: " + d.Client.Till)
	}
	s.pair("Tarix: "+d.At.In(baku).Format("02.01.2006"), "Saat: "+d.At.In(baku).Format("15:04:05"))
	if p := t.byFiscal[d.Parent]; p != nil {
		s.line(fmt.Sprintf("Əsas çek: № %d, %s", p.Number, p.ShortID))
	}
	s.rule()
	if len(d.Items) > 0 {
		s.line("Malın adı")
		s.pair("Miqdar × Qiymət", "Cəmi")
		s.rule()
	}
	for _, it := range d.Items {
		gross := it.Amount + it.Discount
		price := int64(0)
		if it.Quantity > 0 {
			price = mulDiv(gross, 1000, it.Quantity)
		}
		s.line(it.Name)
		s.pair(strings.TrimSpace(fmt.Sprintf("%s %s", quantity(it.Quantity), it.Unit))+" × "+money(price), money(gross))
		if it.Discount > 0 {
			s.pair("  Endirim", "-"+money(it.Discount))
		}
		s.line("  *" + it.TaxName)
	}
	if len(d.Items) > 0 {
		s.rule()
	}
	s.pair("YEKUN MƏBLƏĞ", money(d.Amount)+" AZN")
	for _, v := range d.VAT {
		s.pair("  "+taxLabel(v.Rate)+" ("+money(v.Turnover)+")", money(v.Tax))
	}
	s.rule()
	s.payments(d.Payments)
	if d.Change > 0 {
		s.pair("Ödənilib nağd", money(d.Payments.Cash+d.Change))
		s.pair("Qalıq qaytarılıb", money(d.Change))
	}
	if d.Client.RRN != "" {
		s.pair("RRN", d.Client.RRN)
	}
	s.rule()
	s.pair("Növbə", fmt.Sprint(d.Shift))
	s.pair("Növbə ərzində çek sayı", fmt.Sprint(d.InShift))
	s.pair("NKA-nın modeli", x.Model)
	s.pair("NKA-nın zavod nömrəsi", x.Factory)
	s.pair("NMQ-nın zavod nömrəsi", d.Serial)
	s.pair("NMQ-nın qeydiyyat nömrəsi", x.Token)
	s.pair("Fiskal ID", d.ShortID)
	s.line("")
	s.qr(x.url(d))
	if d.Client.Footer != "" {
		s.line(d.Client.Footer)
	}
	return s.String()
}

func taxLabel(rate int64) string {
	switch rate {
	case NoVAT:
		return "ƏDV-yə cəlb olunmur"
	case 0:
		return "ƏDV-dən azad"
	case 200, 800:
		return "SV " + percent(rate)
	}
	return "ƏDV " + percent(rate)
}

func (s *sheet) payments(p Payments) {
	for _, w := range []struct {
		name string
		sum  int64
	}{{"Nağd", p.Cash}, {"Nağdsız", p.Cashless}, {"Bonus", p.Bonus}, {"Avans (beh)", p.Prepaid}, {"Nisyə", p.Credit}} {
		if w.sum != 0 {
			s.pair(w.name, money(w.sum))
		}
	}
}

var groupTitles = map[Group]string{
	GroupSale: "Satış", GroupMoneyBack: "Geri qaytarma", GroupRollback: "Ləğvetmə", GroupPrepay: "Avans (beh)",
	GroupCreditPay: "Kredit ödənişi", GroupCreditPayRollback: "Kredit ödənişinin ləğvi",
	GroupCorrection: "Korreksiya", GroupDeposit: "Mədaxil", GroupWithdraw: "Məxaric",
}

// reportSheet prints an X, Z or periodic report.
func reportSheet(x Taxpayer, title, serial string, r Report, now time.Time) string {
	var s sheet
	s.head(x)
	s.centre(title)
	s.pair("Tarix: "+now.In(baku).Format("02.01.2006"), "Saat: "+now.In(baku).Format("15:04:05"))
	if r.Shift > 0 {
		s.pair("Növbə", fmt.Sprint(r.Shift))
	}
	s.pair("Açılıb", r.OpenedAt.In(baku).Format(wallTime))
	if !r.ClosedAt.IsZero() {
		s.pair("Bağlanıb", r.ClosedAt.In(baku).Format(wallTime))
	}
	s.rule()
	for _, g := range groups {
		t := r.Groups[g]
		s.pair(fmt.Sprintf("%s (%d)", groupTitles[g], t.Count), money(t.Sum))
		if t.Count > 0 {
			s.payments(t.Payments)
			for _, v := range t.VAT {
				s.pair("  "+taxLabel(v.Rate)+" ("+money(v.Turnover)+")", money(v.Tax))
			}
		}
	}
	s.rule()
	s.pair("Kassada nağd", money(r.Drawer))
	s.pair("Çeklər", fmt.Sprintf("%d–%d", r.FirstNumber, r.LastNumber))
	s.pair("Göndərilməmiş çeklər", fmt.Sprint(r.Unsent))
	s.pair("NMQ-nın zavod nömrəsi", serial)
	return s.String()
}

// qr draws a code with half blocks, two rows to a line, dark as on paper.
func (s *sheet) qr(text string) {
	code, err := qr.Encode(text, qr.L)
	if err != nil { // too long for any code: the address stays readable
		s.line(text)
		return
	}
	const quiet = 2
	margin := strings.Repeat(" ", max(0, (paperWidth-code.Size-2*quiet)/2))
	for y := -quiet; y < code.Size+quiet; y += 2 {
		row := margin
		for x := -quiet; x < code.Size+quiet; x++ {
			switch up, down := code.Black(x, y), code.Black(x, y+1); {
			case up && down:
				row += "█"
			case up:
				row += "▀"
			case down:
				row += "▄"
			default:
				row += " "
			}
		}
		s.line(row)
	}
}
