// net/http: server PORT ROOT
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	http.Handle("/", http.FileServer(http.Dir(os.Args[2])))
	http.HandleFunc("/who", func(response http.ResponseWriter, request *http.Request) {
		host, _, _ := net.SplitHostPort(request.RemoteAddr)
		fmt.Fprintln(response, host)
	})
	http.HandleFunc("/digest", func(response http.ResponseWriter, request *http.Request) {
		digest := sha256.New()
		if _, err := io.Copy(digest, request.Body); err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(response, "%x\n", digest.Sum(nil))
	})
	log.Fatal(http.ListenAndServe(":"+os.Args[1], nil))
}
