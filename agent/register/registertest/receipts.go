package registertest

import (
	"strconv"
	"time"

	"ekassa/agent/receipt"
)

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// Receipts of each kind, as a till closes them.

func item(name, code string, price receipt.Money, quantity receipt.Quantity, tax receipt.TaxType) receipt.Item {
	return receipt.Item{Name: name, Code: code, Unit: receipt.Piece, Quantity: quantity, Price: price, Tax: receipt.Tax{Type: tax}}
}

func closed(kind receipt.Kind, p receipt.Payments, items ...receipt.Item) receipt.Receipt {
	return receipt.Receipt{
		ID: "till1-" + string(kind), Kind: kind, Time: time.Now().Add(-time.Second), Cashier: "Aysel Məmmədova", Number: "123",
		Items: items, Payments: p, Fiscal: true,
	}
}

// sale: Azerbaijani letters, a weighed line, a discount, and change.
func sale() receipt.Receipt {
	plov := item("Şah plov “Bakı”", "1001", 8_00, 1500, receipt.VAT18)
	plov.Unit = receipt.Kilogram
	plov.Discount = 50
	return closed(receipt.Sale, receipt.Payments{Cash: 20_00, Card: 1_00}, plov, item("Çay – göy", "", 3_10, 1000, receipt.VAT18))
}

func cashSale() receipt.Receipt {
	return closed(receipt.Sale, receipt.Payments{Cash: 10_00}, item("Düşbərə", "1002", 5_00, 2000, receipt.VAT18))
}

// refundOf takes back a part of cashSale.
func refundOf(sold *receipt.Stored) receipt.Receipt {
	r := closed(receipt.Refund, receipt.Payments{Cash: 5_00}, item("Düşbərə", "1002", 5_00, 1000, receipt.VAT18))
	r.Parent = &receipt.Parent{ID: sold.ID}
	return r
}

func cancelOf(sold *receipt.Stored) receipt.Receipt {
	r := closed(receipt.Cancel, receipt.Payments{})
	r.Parent = &receipt.Parent{ID: sold.ID}
	return r
}

func prepayment() receipt.Receipt {
	return closed(receipt.Prepayment, receipt.Payments{Card: 20_00}, item("Banket", "1003", 20_00, 1000, receipt.VAT18))
}

// prepaidSale draws on a prepayment, and has the rest paid now.
func prepaidSale(on *receipt.Stored) receipt.Receipt {
	r := closed(receipt.Sale, receipt.Payments{Prepaid: 20_00, Cash: 5_00}, item("Banket", "1003", 25_00, 1000, receipt.VAT18))
	r.Parent = &receipt.Parent{ID: on.ID}
	return r
}

func creditSale() receipt.Receipt {
	r := closed(receipt.Sale, receipt.Payments{Credit: 30_00}, item("Toy", "1004", 30_00, 1000, receipt.VAT18))
	r.Contract = "M-17"
	return r
}

func creditPayment(of *receipt.Stored) receipt.Receipt {
	r := closed(receipt.CreditPayment, receipt.Payments{Cash: 10_00}, item("Toy", "1004", 10_00, 1000, receipt.VAT18))
	r.Contract, r.Parent = "M-17", &receipt.Parent{ID: of.ID}
	return r
}

func correction() receipt.Receipt {
	r := closed(receipt.Correction, receipt.Payments{Cash: 7_00}, item("Nahar", "1005", 7_00, 1000, receipt.VAT18))
	r.Period = &receipt.Period{From: time.Now().Add(-3 * time.Hour), To: time.Now().Add(-2 * time.Hour)}
	return r
}

func cash(kind receipt.Kind, amount receipt.Money) receipt.Receipt {
	return receipt.Receipt{ID: "till1-" + string(kind), Kind: kind, Time: time.Now().Add(-time.Second), Cashier: "Aysel", Amount: amount, Fiscal: true}
}
