// Package receipt holds the nouns that everything else speaks in: what a till
// closed, what a register made of it, and the moves that a receipt may make
// between the two.
//
// It imports only the standard library, knows no database, no wire and no
// clock, and does all arithmetic in whole numbers: money in qəpik (1/100 AZN),
// quantity in thousandths, percentages in hundredths of a percent.
//
// Line rounding, the only place where anything is rounded: a line's gross is
// price × quantity, rounded half up to the qəpik; its total is the gross less
// the line's discount; a receipt's total is the sum of its lines' totals.
package receipt
