// page answers as the admin port of a Linkerd proxy does: its metrics page is a file, read for each request.
package main

import (
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/metrics", func(answer http.ResponseWriter, request *http.Request) {
		page, err := os.ReadFile("/page/metrics")
		if err != nil {
			http.Error(answer, "no page", http.StatusServiceUnavailable)
			return
		}
		answer.Header().Set("content-type", "text/plain")
		answer.Write(page)
	})
	if err := http.ListenAndServe(":4191", nil); err != nil {
		panic(err)
	}
}
