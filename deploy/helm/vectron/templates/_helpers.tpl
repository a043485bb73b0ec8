{{- define "vectron.labels" -}}
app.kubernetes.io/name: vectron
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "vectron.secretName" -}}
{{- .Values.existingSecret | default (printf "%s-cluster" .Release.Name) -}}
{{- end }}

{{- define "vectron.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The domain of the pods of a role. */}}
{{- define "vectron.domain" -}}
{{ .root.Release.Name }}-{{ .role }}.{{ .root.Release.Namespace }}.svc
{{- end }}

{{- define "vectron.placementHost" -}}
{{ .root.Release.Name }}-placement-{{ .ordinal }}.{{ include "vectron.domain" (dict "root" .root "role" "placement") }}
{{- end }}

{{/* NUMBER=GRPC/RAFT of every placement node */}}
{{- define "vectron.peers" -}}
{{- $root := . -}}
{{- range $i := until (int .Values.placement.replicas) -}}
{{- if $i }},{{ end -}}
{{- $host := include "vectron.placementHost" (dict "root" $root "ordinal" $i) -}}
{{ add1 $i }}={{ $host }}:6001/{{ $host }}:7001
{{- end -}}
{{- end }}

{{- define "vectron.placementAddresses" -}}
{{- $root := . -}}
{{- range $i := until (int .Values.placement.replicas) -}}
{{- if $i }},{{ end -}}
{{ include "vectron.placementHost" (dict "root" $root "ordinal" $i) }}:6001
{{- end -}}
{{- end }}

{{/* Where each role is watched: /metrics, /healthz and /readyz. */}}
{{- define "vectron.metricsPort" -}}
{{- get (dict "placement" 9641 "worker" 9642 "gateway" 9643 "auth" 9644 "reranker" 9645) . -}}
{{- end }}

{{/* Which nodes take a role's pods, and from where: {root, role}. */}}
{{- define "vectron.scheduling" -}}
affinity:
  podAntiAffinity:
    {{- if eq .root.Values.antiAffinity "hard" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "vectron.labels" . | nindent 12 }}
    {{- end }}
    preferredDuringSchedulingIgnoredDuringExecution:
      {{- if ne .root.Values.antiAffinity "hard" }}
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- include "vectron.labels" . | nindent 14 }}
      {{- end }}
      - weight: 50
        podAffinityTerm:
          topologyKey: topology.kubernetes.io/zone
          labelSelector:
            matchLabels: {{- include "vectron.labels" . | nindent 14 }}
{{- $own := index .root.Values .role }}
{{- with $own.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "vectron.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "vectron.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Whether pods of a role show clients a certificate. The Auth service's gRPC port shows gateways the cluster's, so there has to be one. */}}
{{- define "vectron.clientTls" -}}
{{- $tls := .root.Values.tls -}}
{{- if and $tls.clients.existingSecret (or (eq .role "gateway") (and (eq .role "auth") $tls.cluster.existingSecret)) }}yes{{ end -}}
{{- end }}

{{/* Flags that all roles have. */}}
{{- define "vectron.commonFlags" -}}
- --data=/var/lib/vectron
- --metrics=0.0.0.0:{{ include "vectron.metricsPort" .role }}
{{- if .root.Values.tls.cluster.existingSecret }}
- --cluster-tls-cert=/run/vectron-tls/cluster/tls.crt
- --cluster-tls-key=/run/vectron-tls/cluster/tls.key
- --cluster-tls-ca=/run/vectron-tls/cluster/ca.crt
{{- else }}
- --cluster-secret-file=/run/vectron/cluster-secret
{{- end }}
{{- if include "vectron.clientTls" . }}
- --tls-cert=/run/vectron-tls/clients/tls.crt
- --tls-key=/run/vectron-tls/clients/tls.key
{{- if .root.Values.tls.clients.clientCa }}
- --tls-client-ca=/run/vectron-tls/clients/ca.crt
{{- end }}
{{- end }}
{{- if include "vectron.options" . }}
- --config=/etc/vectron/{{ .role }}.toml
{{- end }}
{{- end }}

{{/* The role's options file; nothing when there are no options. */}}
{{- define "vectron.options" -}}
{{- range $name, $value := (index .root.Values .role).options }}
{{ $name }} = {{ toJson $value }}
{{- end }}
{{- end }}

{{/* The files of its ConfigMap: {name: text}. */}}
{{- define "vectron.files" -}}
{{- $files := dict -}}
{{- with include "vectron.options" . }}{{ $_ := set $files (printf "%s.toml" $.role) (printf "%s\n" (trim .)) }}{{ end -}}
{{- with (index .root.Values .role).ranking }}{{ $_ := set $files "ranking.toml" . }}{{ end -}}
{{- if $files }}{{ toYaml $files }}{{ end -}}
{{- end }}
