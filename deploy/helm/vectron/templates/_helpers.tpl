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

{{- define "vectron.placementHost" -}}
{{ .root.Release.Name }}-placement-{{ .ordinal }}.{{ .root.Release.Name }}-placement.{{ .root.Release.Namespace }}.svc
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

{{- define "vectron.affinity" -}}
podAntiAffinity:
  {{- if eq .root.Values.antiAffinity "hard" }}
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels: {{- include "vectron.labels" . | nindent 10 }}
  {{- else }}
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "vectron.labels" . | nindent 12 }}
  {{- end }}
{{- end }}

{{- define "vectron.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "vectron.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
