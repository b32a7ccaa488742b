'use strict';

// A key and its own certificate for localhost and 127.0.0.1, made for these tests alone; valid for a hundred years.
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6Cy+23MuFdvA46Q/
lJoCz3xWel/WFr65GArsolYcR+ihRANCAATfLyTcNm3vqNGnxI+WGmwemsevN7uY
c8zMwhIQVU1+MOHRulkHIxoEqLyr6SsCTU2D6M8vQ65WZ+WZxrZRPEuG
-----END PRIVATE KEY-----`;
const cert = `-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUO+7KApF0zRGb9iDPOYS4yQpOyU0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTAxMzgyNloYDzIxMjYxMDI4
MDEzODI2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATfLyTcNm3vqNGnxI+WGmwemsevN7uYc8zMwhIQVU1+MOHRulkHIxoE
qLyr6SsCTU2D6M8vQ65WZ+WZxrZRPEuGo28wbTAdBgNVHQ4EFgQUzWUqzqoIwDIC
ekKmjLOekL8jawowHwYDVR0jBBgwFoAUzWUqzqoIwDICekKmjLOekL8jawowDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgO8ji7qdb5iKEgFikCmjXycMfhlKX5e6D38xbg06+eIICIEpD
v3vfXOmVN/CVQWrkSOAOziQXj5/8AEXgeQr1/uRf
-----END CERTIFICATE-----`;

module.exports = { key, cert };
